from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from pamiq_lightning.recording import writer
from pamiq_lightning.recording.reader import RecordingReader
from pamiq_lightning.recording.schema import RecordingError
from pamiq_lightning.recording.writer import RecordingWriter, size_of
from pamiq_lightning.step import NO_ACTION
from pamiq_lightning.utils import atomic_io
from tests.synthetic import DATASET_SPEC, arrays, record


def smooth_frames(rows: int) -> NDArray[np.uint8]:
    """Return a moving gradient (N, 3, 24, 24), which unlike noise can be compressed."""
    x = np.arange(24, dtype=np.float64)
    time = np.arange(rows)[:, None, None, None]
    wave = np.sin((x[:, None] + 2 * x + time) / 15 + np.arange(3)[:, None, None])
    return (127.5 + 100 * wave).astype(np.uint8)


def test_every_recorded_key_is_read_as_it_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "EPISODE_STEPS", 20)
    rollouts = [arrays(16), arrays(16, 16), arrays(16, 40)]
    rollouts[1]["info"][3] = np.nan
    # The tick before is not in the recording.
    rollouts[2]["last_action"][0] = NO_ACTION
    reader = RecordingReader(record(tmp_path, rollouts))
    again = reader.read(0, 48)
    assert len(reader) == 48
    assert set(again) == set(rollouts[0]) - {"latent", "state"}
    for key, values in again.items():
        written = np.concatenate([steps[key] for steps in rollouts])
        np.testing.assert_array_equal(values, written, key)
        assert values.dtype == written.dtype, key
    # Random access, forwards and backwards, across episodes.
    for start, stop in ((18, 45), (3, 5), (31, 33), (0, 1), (47, 48)):
        part = reader.read(start, stop, without={"value"})
        assert "value" not in part
        np.testing.assert_array_equal(part["frame"], again["frame"][start:stop])
        np.testing.assert_array_equal(part["index"], again["index"][start:stop])
    np.testing.assert_array_equal(reader.column("versions"), again["versions"])


def test_lossy_frames_are_similar_and_small(tmp_path: Path) -> None:
    rollouts = [arrays(200)]
    rollouts[0]["frame"] = smooth_frames(200)
    spec = dataclasses.replace(DATASET_SPEC, lossless=False)
    exact, lossy = record(tmp_path / "a", rollouts), record(tmp_path / "b", rollouts, spec)
    frames = RecordingReader(lossy).read(0, 200)["frame"]
    error = np.square(frames.astype(np.float64) - rollouts[0]["frame"]).mean()
    assert 0 < error < 255**2 / 10**3.5
    assert size_of(lossy / "videos") == 0
    assert size_of(lossy) < 0.7 * size_of(exact)
    # Random access decodes the same frames as reading in sequence.
    again = RecordingReader(lossy)
    for at in (130, 49, 50, 199, 0):
        np.testing.assert_array_equal(again.read(at, at + 1)["frame"][0], frames[at])


def test_episodes_end_where_trajectories_end(tmp_path: Path) -> None:
    steps = arrays(48)
    steps["is_first"][[20, 21]] = True
    steps["index"][30:] += 5
    reader = RecordingReader(record(tmp_path, [steps]))
    assert [episode.rows for episode in reader.episodes] == [20, 1, 9, 18]


def test_a_later_writer_continues_a_recording_of_the_same_spec(tmp_path: Path) -> None:
    record(tmp_path, [arrays(16)])
    record(tmp_path, [arrays(16, 16)])
    reader = RecordingReader(tmp_path)
    np.testing.assert_array_equal(reader.read(0, 32)["index"], np.arange(32))
    assert [episode.files.number for episode in reader.episodes] == [0, 1]
    other = dataclasses.replace(DATASET_SPEC, fps=5.0)
    with pytest.raises(
        RecordingError, match=r"was recorded with other settings .*: fps 10\.0 -> 5\.0$"
    ):
        RecordingWriter(tmp_path, other, crf=20).write(arrays(16, 32))


def test_other_programs_can_read_the_data_folder_at_any_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "EPISODE_STEPS", 32)
    write, seen = atomic_io.write_synced, []

    def look(path: Path, content: bytes) -> None:
        write(path, content)
        seen.extend(path.name for path in (tmp_path / "data").rglob("*.*"))

    monkeypatch.setattr(atomic_io, "write_synced", look)
    writing = RecordingWriter(tmp_path, DATASET_SPEC, crf=20)
    rows = []
    for number in range(6):
        writing.write(arrays(16, 16 * number))
        if (tmp_path / "data").exists():
            rows.append(pq.read_table(tmp_path / "data").num_rows)
    assert rows == [32, 32, 64, 64][: len(rows)] and rows
    writing.close()
    # Also while a data file is being written.
    assert len(set(seen)) > 1 and {Path(name).suffix for name in seen} == {".parquet"}


def test_a_recording_never_exceeds_its_size_limit_by_more_than_a_rollout(tmp_path: Path) -> None:
    """Far below what one episode would take."""
    rollout = size_of(record(tmp_path / "one", [arrays(16)]))
    limit = 12 * rollout
    limited = RecordingWriter(tmp_path / "full", DATASET_SPEC, crf=20, max_bytes=limit)
    for number in range(60):
        limited.write(arrays(16, 16 * number))
        assert size_of(tmp_path / "full") <= limit + rollout
    limited.close()
    reader = RecordingReader(tmp_path / "full")
    rows = reader.column("index")
    np.testing.assert_array_equal(rows, np.arange(rows[0], 960))
    assert 0 < rows[0] < 960 - 3 * 16


def test_the_oldest_episodes_are_removed_beyond_the_size_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "EPISODE_STEPS", 16)
    limit = 3.5 * size_of(record(tmp_path / "one", [arrays(16)]))
    limited = RecordingWriter(tmp_path / "full", DATASET_SPEC, crf=20, max_bytes=limit)
    for number in range(6):
        limited.write(arrays(16, 16 * number))
    limited.close()
    assert size_of(tmp_path / "full") <= limit
    reader = RecordingReader(tmp_path / "full")
    left = [episode.files.number for episode in reader.episodes]
    assert left == list(range(left[0], 6)) and limited.removed == left[0] > 2
    rows = reader.read(0, len(reader))
    np.testing.assert_array_equal(rows["index"], np.arange(16 * left[0], 96))
    np.testing.assert_array_equal(rows["frame"][-16:], arrays(16, 80)["frame"])
    assert f'"train": "{left[0]}:6"' in (tmp_path / "full/meta/info.json").read_text()
    # Every entry stays: LeRobot finds the entry of an episode by its position.
    assert len(list((tmp_path / "full/meta/episodes").rglob("*.parquet"))) == 6
    assert len(list((tmp_path / "full/videos").rglob("*.mp4"))) == len(left)
    # A later writer continues the numbers.
    record(tmp_path / "full", [arrays(16, 96)])
    assert RecordingReader(tmp_path / "full").episodes[-1].files.number == 6
