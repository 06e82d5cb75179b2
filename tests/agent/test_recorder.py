from __future__ import annotations

import errno
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agent.recorder import TELL_EVERY_S, Recorder, RecorderWatch, record
from pamiq_lightning.exchange.board import Board, BoardSpec
from pamiq_lightning.exchange.windows import WindowsReader, WindowsWriter
from pamiq_lightning.recording.layout import NOT_RECORDED, Plan
from pamiq_lightning.recording.reader import RecordingReader
from pamiq_lightning.recording.settings import RecordingSettings
from pamiq_lightning.recording.writer import RecordingWriter
from tests.pamiq_lightning.exchange.test_windows import fill, ring


@pytest.fixture
def writer(tmp_path: Path) -> WindowsWriter:
    return WindowsWriter(ring(tmp_path, slots=8))


@pytest.fixture
def board(tmp_path: Path) -> Board:
    return Board(BoardSpec(tmp_path / "board", ()), create=True)


@pytest.fixture
def plan(writer: WindowsWriter) -> Plan:
    shape = writer.spec.shape
    names = tuple(f"a{number}" for number in range(len(shape.action_choices)))
    return Plan(
        10.0, shape.frame_size, shape.action_choices, names, shape.info_names, lossless=True
    )


def test_all_windows_up_to_the_word_to_stop_are_on_disk(
    tmp_path: Path, writer: WindowsWriter, board: Board, plan: Plan
) -> None:
    recorder = Recorder(
        writer.spec, board.spec, tmp_path / "recording", plan, RecordingSettings(lossless=True)
    )
    written = [fill(writer, number) for number in range(3)]
    board.ask_to_stop()
    recorder.join()
    reader = RecordingReader(tmp_path)
    again = reader.read(0, len(reader))
    for key, values in again.items():
        np.testing.assert_array_equal(values, np.concatenate([steps[key] for steps in written]))
    assert set(again) == set(written[0]) - set(NOT_RECORDED)
    assert reader.plan.info_names == ("x",)
    assert (board.recorder_dropped, board.recorder_refused) == (0, 0)


class FullDisk(RecordingWriter):
    """Refuses the second window."""

    def write(self, steps: Mapping[str, Any]) -> None:
        if steps["index"][0] == self.refused:
            raise OSError(errno.ENOSPC, "No space left on device")
        super().write(steps)


def test_what_is_lost_is_counted_and_the_recorder_goes_on(
    tmp_path: Path, writer: WindowsWriter, board: Board, plan: Plan
) -> None:
    reader = WindowsReader(writer.spec)
    written = [fill(writer, number) for number in range(10)]
    full = FullDisk(tmp_path / "recording", plan, crf=20)
    full.refused = written[5]["index"][0]
    board.ask_to_stop()
    record(reader, board, full)
    # Ten windows through eight slots, of which one is being filled.
    assert board.recorder_dropped == 3
    assert (board.recorder_refused, board.recorder_errno) == (1, errno.ENOSPC)
    lived = [written[number]["index"] for number in (3, 4, 6, 7, 8, 9)]
    np.testing.assert_array_equal(RecordingReader(tmp_path).column("index"), np.concatenate(lived))


def test_a_person_is_told_once_a_minute(board: Board) -> None:
    watch = RecorderWatch()
    assert watch(True, board, 0.0) is None
    board.set_recorder(0, 1, errno.ENOSPC)
    told = watch(True, board, 1.0)
    assert told == "the disk refuses the recording (No space left on device): 1 windows lost so far"
    board.set_recorder(2, 5, 0)
    assert watch(True, board, TELL_EVERY_S) is None
    told = watch(True, board, 1.0 + TELL_EVERY_S)
    assert told is not None and "5 windows lost" in told and "too slow: 2 windows" in told
    assert watch(True, board, 1e6) is None
    assert watch(False, board, 1e6) == (
        "the recorder ended: what is lived from now on is not recorded"
    )
    assert watch(False, board, 2e6) is None
