"""One agent to a run folder: a lock that the system lets go of when its holder dies."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import IO

from agent.errors import RunFailure

LOCK_FILE = "agent.lock"


class RunLock:
    """Holds a run folder from `take` to `release`, or until this process ends in whatever way.

    Args:
        folder: of the run.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / LOCK_FILE
        self._file: IO[str] | None = None

    def take(self) -> None:
        """Take the folder; a lock that a dead process left is taken over.

        Raises:
            RunFailure: another process has it; the message says which.
            OSError: the folder cannot be written to.
        """
        file = self._path.open("a+", encoding="ascii")
        try:
            _lock(file)
        except OSError as error:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            file.close()
            raise RunFailure(
                f"{self._path.parent} is in use by another agent (process {holder}): stop that one "
                "first, with python -m agent.ctl stop"
            ) from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        self._file = file

    def release(self) -> None:
        """Let go of the folder. May be called twice."""
        if self._file is not None:
            self._file.close()
            self._file = None


if sys.platform == "win32":
    import msvcrt

    _BEYOND = 1 << 30
    """A lock there also keeps others from reading, so it is put where nothing is written."""

    def _lock(file: IO[str]) -> None:
        file.seek(_BEYOND)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(file: IO[str]) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
