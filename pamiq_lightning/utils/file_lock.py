"""Locks on files: the one proof of which process is alive.

The system releases a lock when its holder ends in any way. A process number proves nothing: numbers
are used again, and in a container other processes have the same ones.
"""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

_POLL_S = 0.05
_TRIES, _TRY_AGAIN_S = 5, 0.01
"""`is_held` holds a lock for microseconds, which must not look like another holder."""
_HELD = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES)
"""What a system says of a held lock; everything else means that the file cannot be locked."""

_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ESTALE)


class HeldError(Exception):
    """Another process holds the lock; the message names it, such as "process 42"."""


class CannotLockError(OSError):
    """A file cannot be locked at all; the message says why, and what to do."""


class FileLock:
    """Locks a file from `take` to `release`, or until this process ends.

    Args:
        path: of the file; its content is the holder's process number.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: IO[str] | None = None

    def take(self) -> None:
        """Take the lock.

        Raises:
            HeldError: another process holds it.
            CannotLockError: the file system has no locks.
            OSError: the file cannot be written to.
        """
        file = self.path.open("a+", encoding="ascii")
        try:
            if not _try_often(file):
                raise HeldError(_describe_holder(self.path))
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
        except BaseException:
            file.close()
            raise
        self._file = file

    def wait(self, limit_s: float, stopped: Callable[[], bool] = lambda: False) -> None:
        """Take the lock as soon as it is free.

        Raises:
            HeldError: it is still held after `limit_s`, or when `stopped` returns True.
            OSError: the file cannot be locked or written to.
        """
        limit = time.monotonic() + limit_s
        while True:
            try:
                return self.take()
            except HeldError:
                if time.monotonic() > limit or stopped():
                    raise
                time.sleep(_POLL_S)

    @property
    def in_place(self) -> bool:
        """Whether the file that was locked is still the one at `path`.

        It is not where a folder above it was removed or renamed, even if a new one has its name.
        """
        if self._file is None:
            return False
        try:
            status = self.path.stat()
            # Windows removes and renames no folder with an open file.
            return os.name == "nt" or os.path.samestat(os.fstat(self._file.fileno()), status)
        except OSError as error:
            # A disk that does not answer now proves nothing.
            return error.errno not in _GONE

    def release(self) -> None:
        """Release the lock. May be called twice."""
        if self._file is not None:
            self._file.close()
            self._file = None


def is_held(path: Path) -> bool:
    """Return whether a living process holds the lock of a file.

    Raises:
        OSError: the file cannot be read or locked, so that nothing is known.
    """
    try:
        with path.open(encoding="ascii") as file:
            return not try_lock(file, shared=True)
    except FileNotFoundError:
        return False


def holder(path: Path) -> int | None:
    """Return the number of the process that holds a lock, as this process may use it.

    None where nobody holds it, and where the holder cannot be proven: it may run in another
    container, on another machine, or for another user.

    Raises:
        OSError: the file cannot be read or locked.
    """
    if not is_held(path):
        return None
    if sys.platform != "linux":
        # The holder wrote its number, and nobody else can have it while the holder runs.
        return _written(path)
    status = path.stat()
    processes = (process for process in Path("/proc").iterdir() if process.name.isdigit())
    return next((int(process.name) for process in processes if _holds(process, status)), None)


def _holds(process: Path, status: os.stat_result) -> bool:
    """Linux: return whether a process holds the lock of the file with this status."""
    try:
        descriptors = list((process / "fd").iterdir())
    except OSError:
        return False  # It has ended, or belongs to another user.
    for descriptor in descriptors:
        with suppress(OSError):  # Closed meanwhile.
            info = process / "fdinfo" / descriptor.name
            if os.path.samestat(descriptor.stat(), status) and "FLOCK" in info.read_text():
                return True
    return False


def _describe_holder(path: Path) -> str:
    if (pid := holder(path)) is not None:
        return f"process {pid}"
    number = _written(path) or "unknown"
    return f"process {number} of another container, machine or user"


def _written(path: Path) -> int | None:
    text = path.read_text(encoding="ascii", errors="replace").strip()
    return int(text) if text.isdecimal() else None


def _try_often(file: IO[str]) -> bool:
    for _ in range(_TRIES - 1):
        if try_lock(file):
            return True
        time.sleep(_TRY_AGAIN_S)
    return try_lock(file)


def try_lock(file: IO[Any], shared: bool = False) -> bool:
    """Lock a file until it is closed, or return False if another process holds it.

    Raises:
        CannotLockError: the file system has no locks.
    """
    try:
        _lock(file, shared)
    except OSError as error:
        if error.errno in _HELD:
            return False
        raise CannotLockError(
            error.errno,
            f"{error.strerror}: the file system of this folder has no locks, so a second process "
            "could use it unseen; choose a folder on a local disk",
            file.name,
        ) from error
    return True


if sys.platform == "win32":
    import msvcrt

    _BEYOND = 1 << 30
    """On Windows a locked range cannot be read either, so the locked byte is beyond the content."""

    def _lock(file: IO[Any], shared: bool) -> None:
        # There is only the exclusive kind.
        file.seek(_BEYOND)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(file: IO[Any], shared: bool) -> None:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
