from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pamiq_lightning.exchange.rollouts import Rollout
from pamiq_lightning.run_files import STEP_LOG
from pamiq_lightning.trainer.step_log import (
    StepLog,
    StepLogError,
    load_step_log,
    ticks_written,
)
from tests.synthetic import SHAPE, arrays


def test_what_was_written_is_read(tmp_path: Path) -> None:
    rollouts = [Rollout(n, arrays(8, 8 * n), {}) for n in range(3)]
    for rollout in rollouts:
        # One after the other, as trainers that replace each other would.
        StepLog(tmp_path, SHAPE)(rollout)
    rows, names = load_step_log(tmp_path)
    assert names == SHAPE.info_names and ticks_written(tmp_path) == 24
    assert set(rows.dtype.names or ()) == set(SHAPE.fields()) - {"frame", "latent", "state"}
    for key in rows.dtype.names or ():
        np.testing.assert_array_equal(
            rows[key], np.concatenate([rollout.steps[key] for rollout in rollouts])
        )


def test_half_a_row_is_left_out_and_the_last_of_two_counts(tmp_path: Path) -> None:
    track = StepLog(tmp_path, SHAPE)
    track(Rollout(0, arrays(8, seed=1), {}))
    again = Rollout(0, arrays(8, seed=2), {})
    track(again)
    with (tmp_path / STEP_LOG).open("ab") as file:
        file.write(b"half")
    rows, _ = load_step_log(tmp_path)
    np.testing.assert_array_equal(rows["reward"], again.steps["reward"])


def test_a_run_without_a_track_is_told_how_to_have_one(tmp_path: Path) -> None:
    assert ticks_written(tmp_path) == 0
    with pytest.raises(StepLogError, match=r"trainer\.step_log=true"):
        load_step_log(tmp_path)
