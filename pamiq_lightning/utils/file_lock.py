"""A lock on a file that the system lets go of when its holder dies, in whatever way."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

LOOK_S = 0.05


class HeldError(Exception):
    """Another process has the lock; the message is its number, or "unknown"."""


class FileLock:
    """Holds a file from `take` to `release`, or until this process ends.

    Args:
        path: of the file, whose content is the holder's process number.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: IO[str] | None = None

    def take(self) -> None:
        """Take it; a lock that a dead process left is taken over.

        Raises:
            HeldError: another process has it.
            OSError: the file cannot be written to.
        """
        file = self.path.open("a+", encoding="ascii")
        try:
            _lock(file)
        except OSError as error:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            file.close()
            raise HeldError(holder) from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        self._file = file

    def wait(self, limit_s: float, stopped: Callable[[], bool] = lambda: False) -> None:
        """Take it as soon as it is free.

        Raises:
            HeldError: it is not within the limit, or before somebody stops this.
            OSError: the file cannot be written to.
        """
        limit = time.monotonic() + limit_s
        while True:
            try:
                return self.take()
            except HeldError:
                if time.monotonic() > limit or stopped():
                    raise
                time.sleep(LOOK_S)

    def release(self) -> None:
        """Let go of it. May be called twice."""
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
