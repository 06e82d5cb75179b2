"""Experience to disk, by a process that reads the windows with a cursor of its own.

It cannot slow a tick: it shares only memory with the agent, and where it falls behind, windows are
dropped and counted. What the disk refuses is lost and counted too; the recorder goes on.
"""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path

from pamiq_lightning.exchange.board import Board, BoardSpec
from pamiq_lightning.exchange.windows import WindowsReader, WindowsSpec
from pamiq_lightning.processes import Starting, context, ignore_stop_signals, parent_lives
from pamiq_lightning.recording.layout import Plan, RecordingError
from pamiq_lightning.recording.settings import RecordingSettings
from pamiq_lightning.recording.writer import RecordingWriter

LOOK_S = 0.5
STOP_TIMEOUT_S = 20.0
TELL_EVERY_S = 60.0
"""How often a person is told, at most, that steps are not being recorded."""


class Recorder:
    """The agent's handle on the recorder process.

    Args:
        windows: what it reads.
        board: where it tells what was lost.
        folder: of the recording.
        plan: what all its episodes have in common.
        settings: how it records.
    """

    def __init__(
        self,
        windows: WindowsSpec,
        board: BoardSpec,
        folder: Path,
        plan: Plan,
        settings: RecordingSettings,
    ) -> None:
        self._process = context().Process(
            target=_record, args=(windows, board, folder, plan, settings), name="recorder"
        )
        Starting(self._process).wait()
        self.watch = RecorderWatch()

    @property
    def pid(self) -> int | None:
        """Number of its process."""
        return self._process.pid

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


class RecorderWatch:
    """Says in words what the recorder lost, as often as a person wants to hear it."""

    def __init__(self) -> None:
        self._ended, self._told = False, (0, 0)
        self._told_at = -TELL_EVERY_S

    def __call__(self, alive: bool, board: Board, now: float) -> str | None:
        """Return what is new; None if nothing is, or if something was told within the minute.

        Args:
            alive: whether the recorder runs.
            board: where it tells what was lost.
            now: monotonic seconds.
        """
        if not alive and not self._ended:
            self._ended = True
            return "the recorder ended: what is lived from now on is not recorded"
        dropped, refused = lost = board.recorder_dropped, board.recorder_refused
        if lost == self._told or now < self._told_at + TELL_EVERY_S:
            return None
        news = []
        if refused > self._told[1]:
            why = os.strerror(board.recorder_errno)
            news.append(f"the disk refuses the recording ({why}): {refused} windows lost so far")
        if dropped > self._told[0]:
            news.append(f"the recorder was too slow: {dropped} windows lost so far")
        self._told, self._told_at = lost, now
        return "; ".join(news)


def _record(
    windows: WindowsSpec, board_spec: BoardSpec, folder: Path, plan: Plan, how: RecordingSettings
) -> None:
    """Be the recorder."""
    ignore_stop_signals()
    if hasattr(os, "nice"):
        os.nice(10)
    board = Board(board_spec)
    writer = RecordingWriter(folder, plan, how.crf, how.max_gb * 1e9)
    try:
        record(WindowsReader(windows), board, writer)
    except RecordingError as error:
        raise SystemExit(f"recorder: {error}") from error


def record(reader: WindowsReader, board: Board, writer: RecordingWriter) -> None:
    """Write all windows, until the board says stop or the agent is gone.

    Raises:
        RecordingError: the recording that is there is of another kind.
    """
    refused = 0
    while True:
        # Asked before reading: what was filled before the word to stop is still written.
        stopping = board.stop or not parent_lives()
        code = 0
        while (window := reader.read()) is not None:
            try:
                writer.write(window.steps)
            except OSError as error:
                refused, code = refused + 1, error.errno or errno.EIO
            board.set_recorder(reader.dropped, refused, code)
        board.set_recorder(reader.dropped, refused, code)
        if stopping:
            break
        time.sleep(LOOK_S)
    try:
        writer.close()
    except OSError as error:
        # Its rows and frames are on the disk; the next writer or reader takes them from there.
        print(f"recorder: the last episode was not closed: {error.strerror}", flush=True)
