"""Recording to disk, by a process that reads the rollouts with a cursor of its own.

It shares only memory with the agent, so it cannot slow a tick. If it falls behind, rollouts are
dropped and counted; what the disk refuses is lost and counted too. A recorder that died is
replaced, and the new one continues with the rollout after the one that was being written.
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
from pamiq_lightning.utils.console import open_missing_streams, print_error, safe_print
from pamiq_lightning.utils.file_lock import FileLock, HeldError
from pamiq_lightning.utils.outage import REPEAT_EVERY_S
from pamiq_lightning.utils.processes import POLL_S, context, ignore_stop_signals, parent_alive
from pamiq_lightning.utils.supervisor import SupervisedProcess

LOCK_LIMIT_S = 30.0
"""How long an earlier recorder may still write."""
CANNOT_RECORD = 2
"""Exit code of a recorder that a new one could not do better than."""


class Recorder(SupervisedProcess):
    """The agent's handle on the recorder process.

    Args:
        rollouts: the ring that it reads.
        board: where it counts what was lost.
        folder: of the recording.
        spec: what all its episodes have in common.
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
        super().__init__("recorder")
        self._arguments = (rollouts, board, folder, spec, settings)
        self._losses, self._folder = LossMessages(), folder
        self._given_up = False
        self._start()

    def _start(self) -> None:
        process = context().Process(target=_run, args=self._arguments, name="recorder")
        self.start(process)
        self.wait_started()

    def watch(self, board: StatusBoard, now: float) -> str | None:
        """Replace a recorder that died; call it a few times a second.

        Args:
            board: has its progress and its losses.
            now: monotonic seconds.

        Returns:
            A message for the user, in one line, or None.
        """
        event = None
        if not self._given_up:
            if self.process.exitcode == CANNOT_RECORD:
                self._given_up = True
                return "the recorder cannot continue: nothing is recorded from now on"
            event = self.supervise(now, self._start, board.recorder_finished)
        return event or self._losses(board, now)

    def join(self) -> bool:
        """Wait until everything is written; the board must say stop. Return whether all is.

        A recorder that has died is replaced once more for the rollouts left in the ring.
        """
        if not self.alive and self.process.exitcode not in (0, CANNOT_RECORD):
            with suppress(OSError):
                self._start()
        return super().join()

    def describe_loss(self) -> str:
        """Return what is missing in the recording, after `join` has returned False."""
        if self.process.exitcode == CANNOT_RECORD:
            return f"{self._folder} is incomplete: the recorder could not continue it"
        return "the last steps are not recorded: the recorder failed at its end"


class LossMessages:
    """Reports what the recorder lost, at most once a minute."""

    def __init__(self) -> None:
        self._reported = (0, 0)
        self._reported_at = -REPEAT_EVERY_S

    def __call__(self, board: StatusBoard, now: float) -> str | None:
        """Return a message about new losses; None if there are none or the last was too recent.

        Args:
            board: has the recorder's losses.
            now: monotonic seconds.
        """
        dropped, refused = losses = board.recorder_dropped, board.recorder_refused
        if losses == self._reported or now < self._reported_at + REPEAT_EVERY_S:
            return None
        messages = []
        if refused > self._reported[1]:
            why = os.strerror(board.recorder_errno)
            messages.append(f"the disk refuses the recording ({why}): {refused} rollouts lost")
        if dropped > self._reported[0]:
            messages.append(f"the recorder was too slow or died: {dropped} rollouts lost")
        self._reported, self._reported_at = losses, now
        return "; ".join(messages)


def _run(
    rollouts: RolloutsSpec,
    board_spec: StatusBoardSpec,
    folder: Path,
    spec: DatasetSpec,
    settings: RecordingSettings,
) -> None:
    """Run the recorder; the main function of its process."""
    open_missing_streams()
    ignore_stop_signals()
    if hasattr(os, "nice"):
        os.nice(10)
    board = StatusBoard(board_spec)
    try:
        folder.mkdir(exist_ok=True)
    except FileNotFoundError:
        print_error(f"recorder: {folder.parent} was removed or renamed")
        sys.exit(CANNOT_RECORD)
    # An earlier recorder, whose end was not noticed, may still be closing an episode.
    lock = FileLock(recorder_lock(folder))
    writer = RecordingWriter(folder, spec, settings.crf, settings.max_gb * 1e9)
    try:
        lock.wait(LOCK_LIMIT_S, lambda: not parent_alive())
        record(RolloutReader(rollouts, board.recorder_cursor or None), board, writer, lock)
    except HeldError as held:
        print_error(f"recorder: {held} still writes to {folder}")
        sys.exit(1)
    except RecordingError as error:
        print_error(f"recorder: {error}")
        sys.exit(CANNOT_RECORD)


def record(
    reader: RolloutReader, board: StatusBoard, writer: RecordingWriter, lock: FileLock
) -> None:
    """Write all rollouts, until the board says stop or the agent is gone.

    Raises:
        RecordingError: the existing recording is of another kind.
        SystemExit: its folder was removed or renamed.
    """
    # Losses of earlier recorders, and the rollout that the last one died of.
    dropped, refused = board.recorder_dropped, board.recorder_refused
    if board.recorder_cursor == 0:
        board.recorder_finished = reader.cursor
    else:
        dropped += board.recorder_cursor - board.recorder_finished
    while True:
        # Checked before reading, so rollouts filled before the request are still written.
        stopping = board.stop or not parent_alive()
        while (rollout := reader.read()) is not None:
            # Set before writing: a new recorder must not write parts of this rollout twice.
            board.recorder_cursor = reader.cursor
            _check_in_place(lock)
            try:
                writer.write(rollout.steps)
            except OSError as error:
                refused += 1
                board.recorder_errno = error.errno or errno.EIO
            _show_progress(board, reader, dropped, refused)
        _show_progress(board, reader, dropped, refused)
        if stopping:
            break
        time.sleep(POLL_S)
    _check_in_place(lock)
    try:
        writer.close()
    except OSError as error:
        # Its rows and frames are on the disk; the next writer or reader recovers them.
        safe_print(f"recorder: the last episode was not closed: {error.strerror}")


def _check_in_place(lock: FileLock) -> None:
    """End this process if the folder was removed or renamed: its open files went with it."""
    if not lock.in_place:
        print_error(f"recorder: {lock.path.parent} was removed or renamed")
        sys.exit(1)


def _show_progress(board: StatusBoard, reader: RolloutReader, dropped: int, refused: int) -> None:
    board.recorder_dropped, board.recorder_refused = dropped + reader.dropped, refused
    board.recorder_finished = reader.cursor
