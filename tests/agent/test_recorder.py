from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from agent.recorder import Recorder
from pamiq_lightning.exchange.board import Board, BoardSpec
from pamiq_lightning.exchange.windows import WindowsWriter
from pamiq_lightning.offline.files import read_window, window_files
from tests.pamiq_lightning.exchange.test_windows import fill, ring


def test_all_windows_up_to_the_word_to_stop_are_on_disk(tmp_path: Path) -> None:
    writer = WindowsWriter(ring(tmp_path, slots=8))
    spec = BoardSpec(tmp_path / "board", ())
    board = Board(spec, create=True)
    recorder = Recorder(writer.spec, spec, tmp_path / "recording")
    written = [fill(writer, number) for number in range(3)]
    board.ask_to_stop()
    recorder.join()
    files = window_files(tmp_path / "recording")
    assert len(files) == 3
    for file, steps in zip(files, written, strict=True):
        for key, values in read_window(file).items():
            np.testing.assert_array_equal(values, steps[key])
    description = json.loads((tmp_path / "recording" / "recording.json").read_text())
    assert description["info_names"] == ["x"]
