"""One agent to a run folder."""

from __future__ import annotations

from pathlib import Path

from agent.errors import RunFailure
from pamiq_lightning.utils.file_lock import FileLock, HeldError

LOCK_FILE = "agent.lock"


class RunLock:
    """Holds a run folder from `take` to `release`, or until this process ends in whatever way.

    Args:
        folder: of the run.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._lock = folder, FileLock(folder / LOCK_FILE)

    def take(self) -> None:
        """Take the folder; a lock that a dead process left is taken over.

        Raises:
            RunFailure: another process has it; the message says which.
            OSError: the folder cannot be written to.
        """
        try:
            self._lock.take()
        except HeldError as holder:
            raise RunFailure(
                f"{self._folder} is in use by another agent (process {holder}): stop that one "
                "first, with python -m agent.ctl stop"
            ) from holder

    def release(self) -> None:
        """Let go of the folder. May be called twice."""
        self._lock.release()
