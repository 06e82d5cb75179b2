from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pamiq_lightning.exchange.rollouts import Rollout
from pamiq_lightning.run_files import STEP_LOG, STEP_LOG_FIELDS
from pamiq_lightning.trainer.step_log import StepLog, StepLogError, load_step_log, ticks_written
from tests.synthetic import SHAPE, arrays


def test_step_log_reads_back_what_was_written(tmp_path: Path) -> None:
    rollouts = [Rollout(n, arrays(8, 8 * n), {}) for n in range(3)]
    for rollout in rollouts:
        # A new writer each time, as when a trainer is replaced.
        StepLog(tmp_path, SHAPE)(rollout)
    rows, names = load_step_log(tmp_path)
    assert names == SHAPE.info_names and ticks_written(tmp_path) == 24
    assert set(rows.dtype.names or ()) == set(SHAPE.fields()) - {"frame", "latent", "state"}
    for key in rows.dtype.names or ():
        np.testing.assert_array_equal(
            rows[key], np.concatenate([rollout.steps[key] for rollout in rollouts])
        )


def test_step_log_leaves_out_a_partial_row_and_keeps_the_last_of_duplicates(tmp_path: Path) -> None:
    log = StepLog(tmp_path, SHAPE)
    log(Rollout(0, arrays(8, seed=1), {}))
    again = Rollout(0, arrays(8, seed=2), {})
    log(again)
    with (tmp_path / STEP_LOG).open("ab") as file:
        file.write(b"half")
    rows, _ = load_step_log(tmp_path)
    np.testing.assert_array_equal(rows["reward"], again.steps["reward"])


def test_a_missing_step_log_names_the_setting(tmp_path: Path) -> None:
    assert ticks_written(tmp_path) == 0
    with pytest.raises(StepLogError, match=r"trainer\.step_log=true"):
        load_step_log(tmp_path)


@pytest.mark.parametrize("content", ["", "{}", '{"fields": 1}'])
def test_a_damaged_step_log_is_named(tmp_path: Path, content: str) -> None:
    StepLog(tmp_path, SHAPE)(Rollout(0, arrays(8), {}))
    (tmp_path / STEP_LOG_FIELDS).write_text(content)
    with pytest.raises(StepLogError, match="is damaged"):
        load_step_log(tmp_path)
