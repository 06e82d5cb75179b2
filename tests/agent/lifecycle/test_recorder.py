from __future__ import annotations

import dataclasses
import errno
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agent.lifecycle.recorder import LossMessages, Recorder, record
from pamiq_lightning.exchange.rollouts import RolloutReader, RolloutWriter
from pamiq_lightning.exchange.status_board import StatusBoard, StatusBoardSpec
from pamiq_lightning.recording.reader import RecordingReader
from pamiq_lightning.recording.schema import DatasetSpec, recorder_lock, write_spec
from pamiq_lightning.recording.settings import RecordingSettings
from pamiq_lightning.recording.writer import RecordingWriter
from pamiq_lightning.utils.file_lock import FileLock
from pamiq_lightning.utils.outage import REPEAT_EVERY_S
from tests.conftest import wait_until
from tests.pamiq_lightning.exchange.test_rollouts import fill, ring


@pytest.fixture
def writer(tmp_path: Path) -> RolloutWriter:
    return RolloutWriter(ring(tmp_path, slots=8))


@pytest.fixture
def board(tmp_path: Path) -> StatusBoard:
    return StatusBoard(StatusBoardSpec(tmp_path / "board", ()), create=True)


@pytest.fixture
def spec(writer: RolloutWriter) -> DatasetSpec:
    shape = writer.spec.shape
    names = tuple(f"a{number}" for number in range(len(shape.action_choices)))
    return DatasetSpec(
        10.0, shape.frame_size, shape.action_choices, names, shape.info_names, lossless=True
    )


def begin(writer: RolloutWriter, board: StatusBoard, folder: Path, spec: DatasetSpec) -> Recorder:
    return Recorder(writer.spec, board.spec, folder, spec, RecordingSettings(lossless=True))


def test_recorder_writes_all_rollouts_filled_before_the_stop(
    tmp_path: Path, writer: RolloutWriter, board: StatusBoard, spec: DatasetSpec
) -> None:
    recorder = begin(writer, board, tmp_path / "recording", spec)
    written = [fill(writer, number) for number in range(3)]
    board.request_stop()
    recorder.join()
    reader = RecordingReader(tmp_path)
    again = reader.read(0, len(reader))
    for key, values in again.items():
        np.testing.assert_array_equal(values, np.concatenate([steps[key] for steps in written]))
    assert set(again) == set(written[0]) - {"latent", "state"}
    assert reader.spec.info_names == ("x",)
    assert (board.recorder_dropped, board.recorder_refused) == (0, 0)


@pytest.fixture
def lock(tmp_path: Path) -> Iterator[FileLock]:
    (tmp_path / "recording").mkdir()
    lock = FileLock(recorder_lock(tmp_path / "recording"))
    lock.take()
    yield lock
    lock.release()


class FullDisk(RecordingWriter):
    """Refuses one rollout."""

    def write(self, steps: Mapping[str, Any]) -> None:
        if steps["index"][0] == self.refused:
            raise OSError(errno.ENOSPC, "No space left on device")
        super().write(steps)


def test_recorder_counts_lost_rollouts_and_continues(
    tmp_path: Path, writer: RolloutWriter, board: StatusBoard, spec: DatasetSpec, lock: FileLock
) -> None:
    reader = RolloutReader(writer.spec)
    written = [fill(writer, number) for number in range(10)]
    full = FullDisk(tmp_path / "recording", spec, crf=20)
    full.refused = written[5]["index"][0]
    board.request_stop()
    record(reader, board, full, lock)
    # Ten rollouts through eight slots, of which one is being filled.
    assert board.recorder_dropped == 3
    assert (board.recorder_refused, board.recorder_errno) == (1, errno.ENOSPC)
    recorded = [written[number]["index"] for number in (3, 4, 6, 7, 8, 9)]
    np.testing.assert_array_equal(
        RecordingReader(tmp_path).column("index"), np.concatenate(recorded)
    )


def test_losses_are_reported_once_a_minute(board: StatusBoard) -> None:
    losses = LossMessages()
    assert losses(board, 0.0) is None
    board.recorder_refused, board.recorder_errno = 1, errno.ENOSPC
    message = losses(board, 1.0)
    assert message == "the disk refuses the recording (No space left on device): 1 rollouts lost"
    board.recorder_dropped, board.recorder_refused = 2, 5
    assert losses(board, REPEAT_EVERY_S) is None
    message = losses(board, 1.0 + REPEAT_EVERY_S)
    assert message is not None
    assert "5 rollouts lost" in message and "too slow or died: 2 rollouts lost" in message
    assert losses(board, 1e6) is None


def test_a_replaced_recorder_writes_no_rollout_twice(
    tmp_path: Path, writer: RolloutWriter, board: StatusBoard, spec: DatasetSpec
) -> None:
    recorder = begin(writer, board, tmp_path / "recording", spec)
    written = [fill(writer, number) for number in range(2)]
    wait_until(lambda: board.recorder_finished == 2)
    recorder.kill()
    # Filled while no recorder runs; the ring keeps it.
    written.append(fill(writer, 2))
    message = recorder.watch(board, 100.0)
    assert message == "the recorder ended (exit code -9); a new one starts in 0.25 s"
    assert recorder.watch(board, 100.2) is None and not recorder.alive
    assert recorder.watch(board, 100.3) is None and recorder.alive
    wait_until(lambda: board.recorder_finished == 3)
    # It made progress, so the next delay is short again; the one after is longer.
    for now, wait in ((200.0, "0.25"), (300.0, "0.5")):
        recorder.kill()
        assert (recorder.watch(board, now) or "").endswith(f"starts in {wait} s")
        recorder.watch(board, now + 10)
    board.request_stop()
    recorder.join()
    recorded = RecordingReader(tmp_path).column("index")
    # The rollout being written when it died may be lost in part, but is never there twice.
    assert len(np.unique(recorded)) == len(recorded)
    assert set(recorded) <= set(np.concatenate([steps["index"] for steps in written]))
    assert set(recorded) >= set(written[0]["index"])


def test_rollouts_filled_while_the_recorder_is_dead_are_recorded_at_the_end(
    tmp_path: Path, writer: RolloutWriter, board: StatusBoard, spec: DatasetSpec
) -> None:
    recorder = begin(writer, board, tmp_path / "recording", spec)
    recorder.kill()
    written = [fill(writer, number)["index"] for number in range(3)]
    board.request_stop()
    assert recorder.join()
    np.testing.assert_array_equal(
        RecordingReader(tmp_path).column("index"), np.concatenate(written)
    )


def test_the_rollout_a_recorder_died_on_is_counted_as_lost(
    tmp_path: Path, writer: RolloutWriter, board: StatusBoard, spec: DatasetSpec, lock: FileLock
) -> None:
    class Dying(RecordingWriter):
        def write(self, steps: Mapping[str, Any]) -> None:
            raise MemoryError

    fill(writer, 0)
    fill(writer, 1)
    board.request_stop()
    for _ in range(2):
        reader = RolloutReader(writer.spec, board.recorder_cursor or None)
        with pytest.raises(MemoryError):
            record(reader, board, Dying(tmp_path / "recording", spec, crf=20), lock)
    record(
        RolloutReader(writer.spec, board.recorder_cursor or None),
        board,
        RecordingWriter(tmp_path / "recording", spec, crf=20),
        lock,
    )
    assert (board.recorder_dropped, board.recorder_finished) == (2, 2)


def test_recorder_never_writes_into_a_second_folder_of_the_name(
    tmp_path: Path,
    writer: RolloutWriter,
    board: StatusBoard,
    spec: DatasetSpec,
    lock: FileLock,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "recording"
    folder.rename(tmp_path / "renamed")
    folder.mkdir()
    fill(writer, 0)
    board.request_stop()
    with pytest.raises(SystemExit):
        record(RolloutReader(writer.spec), board, RecordingWriter(folder, spec, crf=20), lock)
    assert not [*folder.iterdir()]
    assert "was removed or renamed" in capsys.readouterr().err


def test_two_recorders_never_write_one_recording(
    tmp_path: Path, writer: RolloutWriter, board: StatusBoard, spec: DatasetSpec
) -> None:
    folder = tmp_path / "recording"
    folder.mkdir()
    lock = FileLock(recorder_lock(folder))
    lock.take()
    recorder = begin(writer, board, folder, spec)
    fill(writer, 0)
    board.request_stop()
    # It waits, and has read nothing from the ring.
    assert recorder.alive and board.recorder_cursor == 0
    lock.release()
    assert recorder.join()
    assert board.recorder_cursor == 1


def test_a_recorder_that_cannot_record_is_not_replaced_and_fails_the_run(
    tmp_path: Path, writer: RolloutWriter, board: StatusBoard, spec: DatasetSpec
) -> None:
    write_spec(tmp_path, dataclasses.replace(spec, fps=spec.fps + 1))
    recorder = begin(writer, board, tmp_path, spec)
    fill(writer, 0)
    wait_until(lambda: not recorder.alive)
    message = recorder.watch(board, 1e6)
    assert message == "the recorder cannot continue: nothing is recorded from now on"
    assert recorder.watch(board, 2e6) is None and not recorder.alive
    # The run ends with a failure: what it did is not recorded.
    assert not recorder.join() and not recorder.alive
    assert (
        recorder.describe_loss() == f"{tmp_path} is incomplete: the recorder could not continue it"
    )
