"""Experience to disk, by a process that reads the windows with a cursor of its own.

It cannot slow a tick: it shares only memory with the agent, and where it falls behind, windows are
dropped and counted.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np

from pamiq_lightning.exchange.board import Board, BoardSpec
from pamiq_lightning.exchange.windows import Window, WindowsReader, WindowsSpec
from pamiq_lightning.offline.files import DESCRIPTION, FORMAT_VERSION, window_file
from pamiq_lightning.processes import Starting, context, ignore_stop_signals, parent_lives

LOOK_S = 0.5
STOP_TIMEOUT_S = 20.0


class Recorder:
    """The agent's handle on the recorder process."""

    def __init__(self, windows: WindowsSpec, board: BoardSpec, folder: Path) -> None:
        self._process = context().Process(
            target=_record, args=(windows, board, folder), name="recorder"
        )
        Starting(self._process).wait()

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process.is_alive()

    def join(self) -> None:
        """Wait until all is written; the board must have said stop."""
        self._process.join(STOP_TIMEOUT_S)
        self.kill()

    def kill(self) -> None:
        """End it at once, if it still runs."""
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


def _record(windows: WindowsSpec, board_spec: BoardSpec, folder: Path) -> None:
    """Be the recorder."""
    ignore_stop_signals()
    if hasattr(os, "nice"):
        os.nice(10)
    folder.mkdir(parents=True, exist_ok=True)
    description = {"format": FORMAT_VERSION, "rows": windows.rows, **asdict(windows.shape)}
    (folder / DESCRIPTION).write_text(json.dumps(description, indent=1), encoding="utf-8")
    reader, board = WindowsReader(windows), Board(board_spec)
    while True:
        # Asked before reading: what was filled before the word to stop is still written.
        stopping = board.stop or not parent_lives()
        while (window := reader.read()) is not None:
            _write_or_warn(window, folder)
        if stopping:
            return
        time.sleep(LOOK_S)


def _write_or_warn(window: Window, folder: Path) -> None:
    """Write a window; a disk that refuses costs that window, not the recorder."""
    try:
        write_window(window, folder)
    except OSError as error:
        print(f"window {window.number} was not recorded: {error.strerror}", flush=True)


def write_window(window: Window, folder: Path) -> None:
    """Write one window so that a crash leaves all of it or nothing."""
    path = window_file(folder, window.number)
    staged = path.with_suffix(".part")
    with staged.open("wb") as file:
        np.savez_compressed(file, **window.steps)  # type: ignore[arg-type]
    staged.replace(path)
