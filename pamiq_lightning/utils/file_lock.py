"""A lock on a file that the system releases when its holder ends in any way."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

_POLL_S = 0.05


class HeldError(Exception):
    """Another process holds the lock; the message is its process id, or "unknown"."""


class FileLock:
    """Locks a file from `take` to `release`, or until this process ends.

    Args:
        path: of the file; its content is the holder's process id.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: IO[str] | None = None

    def take(self) -> None:
        """Take the lock.

        Raises:
            HeldError: another process holds it.
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
        """Take the lock as soon as it is free.

        Raises:
            HeldError: it is still held after `limit_s`, or when `stopped` returns True.
            OSError: the file cannot be written to.
        """
        limit = time.monotonic() + limit_s
        while True:
            try:
                return self.take()
            except HeldError:
                if time.monotonic() > limit or stopped():
                    raise
                time.sleep(_POLL_S)

    def release(self) -> None:
        """Release the lock. May be called twice."""
        if self._file is not None:
            self._file.close()
            self._file = None


if sys.platform == "win32":
    import msvcrt

    _BEYOND = 1 << 30
    """On Windows a locked range cannot be read either, so the locked byte is beyond the content."""

    def _lock(file: IO[str]) -> None:
        file.seek(_BEYOND)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(file: IO[str]) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
