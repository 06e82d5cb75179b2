from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pamiq_lightning.exchange.rollouts import Window
from pamiq_lightning.trainer.step_log import TRACK, Track, TrackError, load_track, ticks_written
from tests.samples import SHAPE, arrays


def test_what_was_written_is_read(tmp_path: Path) -> None:
    windows = [Window(n, arrays(8, 8 * n), {}) for n in range(3)]
    for window in windows:
        # One after the other, as trainers that replace each other would.
        Track(tmp_path, SHAPE)(window)
    rows, names = load_track(tmp_path)
    assert names == SHAPE.info_names and ticks_written(tmp_path) == 24
    assert set(rows.dtype.names or ()) == set(SHAPE.fields()) - {"frame", "latent", "state"}
    for key in rows.dtype.names or ():
        np.testing.assert_array_equal(
            rows[key], np.concatenate([window.steps[key] for window in windows])
        )


def test_half_a_row_is_left_out_and_the_last_of_two_counts(tmp_path: Path) -> None:
    track = Track(tmp_path, SHAPE)
    track(Window(0, arrays(8, seed=1), {}))
    again = Window(0, arrays(8, seed=2), {})
    track(again)
    with (tmp_path / TRACK).open("ab") as file:
        file.write(b"half")
    rows, _ = load_track(tmp_path)
    np.testing.assert_array_equal(rows["reward"], again.steps["reward"])


def test_a_run_without_a_track_is_told_how_to_have_one(tmp_path: Path) -> None:
    assert ticks_written(tmp_path) == 0
    with pytest.raises(TrackError, match="track=true"):
        load_track(tmp_path)
