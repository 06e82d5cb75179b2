"""RecordingDataset to disk, by a process that reads the windows with a cursor of its own.

It cannot slow a tick: it shares only memory with the agent, and where it falls behind, windows are
dropped and counted. What the disk refuses is lost and counted too; the recorder goes on. One that
died is replaced, and its successor goes on with the window after the one that was being written.
"""

from __future__ import annotations

import errno
import os
import sys
import time
from contextlib import suppress
from pathlib import Path

from pamiq_lightning.exchange.rollouts import RolloutReader, RolloutsSpec
from pamiq_lightning.exchange.status_board import StatusBoard, StatusBoardSpec
from pamiq_lightning.recording.schema import DatasetSpec, RecordingError, recorder_lock
from pamiq_lightning.recording.settings import RecordingSettings
from pamiq_lightning.recording.writer import RecordingWriter
from pamiq_lightning.utils.file_lock import FileLock, HeldError
from pamiq_lightning.utils.processes import (
    Backoff,
    Starting,
    context,
    ignore_stop_signals,
    parent_lives,
)

LOOK_S = 0.5
STOP_TIMEOUT_S = 20.0
TELL_EVERY_S = 60.0
"""How often a person is told, at most, that steps are not being recorded."""
LOCK_LIMIT_S = 30.0
"""How long a recorder before this one may still write."""
CANNOT = 2
"""Exit code of a recorder that no successor would do better than."""


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
        rollouts: RolloutsSpec,
        board: StatusBoardSpec,
        folder: Path,
        spec: DatasetSpec,
        settings: RecordingSettings,
    ) -> None:
        self._arguments = (rollouts, board, folder, spec, settings)
        self._backoff = Backoff()
        self._finished_at_start = 0
        self._start_at: float | None = None
        self._tell_losses = Losses()
        self._given_up = False
        self._start()

    def _start(self) -> None:
        self._process = context().Process(target=_record, args=self._arguments, name="recorder")
        Starting(self._process).wait()

    @property
    def pid(self) -> int | None:
        """Number of its process."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process.is_alive()

    def watch(self, board: StatusBoard, now: float) -> str | None:
        """Replace a recorder that died; call it a few times a second.

        Args:
            board: where it tells what it does and what was lost.
            now: monotonic seconds.

        Returns:
            What a person should read, in one line, or None.
        """
        if self._start_at is not None:
            if now >= self._start_at:
                self._finished_at_start = board.recorder_finished
                try:
                    self._start()
                except OSError as error:
                    return self._plan_restart(now, f"could not be started ({error.strerror})")
                self._start_at = None
        elif not self._given_up and not self.alive:
            if self._process.exitcode == CANNOT:
                self._given_up = True
                return "the recorder cannot go on: what is lived from now on is not recorded"
            if board.recorder_finished != self._finished_at_start:
                self._backoff.reset()
            return self._plan_restart(now, f"ended (exit code {self._process.exitcode})")
        return self._tell_losses(board, now)

    def _plan_restart(self, now: float, what: str) -> str:
        delay = self._backoff.next()
        self._start_at = now + delay
        return f"the recorder {what}; a new one starts in {delay:.3g} s"

    def join(self) -> bool:
        """Wait until all is written; the board must have said stop. Return whether all is.

        One that has died meanwhile is replaced for what is still in the ring.
        """
        if self._process.exitcode == CANNOT:
            # Told when it happened.
            return True
        if not self.alive and self._process.exitcode != 0:
            with suppress(OSError):
                self._start()
        if self.alive:
            self._process.join(STOP_TIMEOUT_S)
        self.kill()
        return self._process.exitcode == 0

    def kill(self) -> None:
        """End it at once, if it still runs."""
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


class Losses:
    """Says in words what the recorder lost, as often as a person wants to hear it."""

    def __init__(self) -> None:
        self._told = (0, 0)
        self._told_at = -TELL_EVERY_S

    def __call__(self, board: StatusBoard, now: float) -> str | None:
        """Return what is new; None if nothing is, or if something was told within the minute.

        Args:
            board: where the recorder tells what was lost.
            now: monotonic seconds.
        """
        dropped, refused = lost = board.recorder_dropped, board.recorder_refused
        if lost == self._told or now < self._told_at + TELL_EVERY_S:
            return None
        news = []
        if refused > self._told[1]:
            why = os.strerror(board.recorder_errno)
            news.append(f"the disk refuses the recording ({why}): {refused} windows lost so far")
        if dropped > self._told[0]:
            news.append(f"the recorder was too slow, or died: {dropped} windows lost so far")
        self._told, self._told_at = lost, now
        return "; ".join(news)


def _record(
    rollouts: RolloutsSpec,
    board_spec: StatusBoardSpec,
    folder: Path,
    spec: DatasetSpec,
    how: RecordingSettings,
) -> None:
    """Be the recorder."""
    ignore_stop_signals()
    if hasattr(os, "nice"):
        os.nice(10)
    board = StatusBoard(board_spec)
    folder.mkdir(parents=True, exist_ok=True)
    # One that lost its agent, or whose end was not seen, may still be closing an episode.
    lock = FileLock(recorder_lock(folder))
    writer = RecordingWriter(folder, spec, how.crf, how.max_gb * 1e9)
    try:
        lock.wait(LOCK_LIMIT_S, lambda: not parent_lives())
        record(RolloutReader(rollouts, board.recorder_cursor), board, writer)
    except HeldError as holder:
        print(f"recorder: process {holder} still writes to {folder}", file=sys.stderr, flush=True)
        sys.exit(1)
    except RecordingError as error:
        print(f"recorder: {error}", file=sys.stderr, flush=True)
        sys.exit(CANNOT)


def record(reader: RolloutReader, board: StatusBoard, writer: RecordingWriter) -> None:
    """Write all windows, until the board says stop or the agent is gone.

    Raises:
        RecordingError: the recording that is there is of another kind.
    """
    # One that died had lost some already, and the window that it died of.
    dropped, refused = board.recorder_dropped, board.recorder_refused
    if board.recorder_cursor is None:
        board.set_recorder_finished(reader.cursor)
    else:
        dropped += board.recorder_cursor - board.recorder_finished
    while True:
        # Asked before reading: what was filled before the word to stop is still written.
        stopping = board.stop or not parent_lives()
        code = 0
        while (rollout := reader.read()) is not None:
            # Before it is written: a successor must not write again what is there in part.
            board.set_recorder_cursor(reader.cursor)
            try:
                writer.write(rollout.steps)
            except OSError as error:
                refused, code = refused + 1, error.errno or errno.EIO
            board.set_recorder(dropped + reader.dropped, refused, code)
            board.set_recorder_finished(reader.cursor)
        board.set_recorder(dropped + reader.dropped, refused, code)
        board.set_recorder_finished(reader.cursor)
        if stopping:
            break
        time.sleep(LOOK_S)
    try:
        writer.close()
    except OSError as error:
        # Its rows and frames are on the disk; the next writer or reader takes them from there.
        print(f"recorder: the last episode was not closed: {error.strerror}", flush=True)
