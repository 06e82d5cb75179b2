"""Files that survive a crash or a power cut either whole or not at all."""

from __future__ import annotations

import errno
import glob
import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

from pamiq_lightning.utils.file_lock import CannotLockError, try_lock

_CANNOT_SYNC_FOLDERS = (errno.EINVAL, errno.ENOTSUP, errno.EBADF)
_STAGED, _DIGITS = "part", 8


class WholeFile:
    """A new file, unbuffered, whose `write` writes all it is given or raises.

    A plain file may write a part when the disk is nearly full and report that only in its return
    value, which PyAV and Arrow ignore. Every other attribute is the file's.

    Args:
        path: must not exist.

    Raises:
        OSError: the disk refuses.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("xb", buffering=0)

    def write(self, content: Any) -> int:
        """Write all of the content.

        Raises:
            OSError: the disk refuses the rest.
        """
        left = memoryview(content).cast("B")
        size = len(left)
        while left:
            left = left[self._file.write(left) :]
        return size

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def write_synced(path: Path, content: bytes) -> None:
    """Write a file and return when it is on the disk.

    Raises:
        OSError: the disk refuses.
    """
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def staged(path: Path, mode: int = 0o666, folder: Path | None = None) -> Iterator[Path]:
    """Yield an empty file to write to; at the end it replaces `path` in one step.

    If the body raises, `path` stays as it was and the staged file is removed. Every caller has a
    file of its own, so several processes may stage the same path; the last to end replaces it. What
    a killed process has left is removed first.

    Args:
        path: to be replaced.
        mode: of the file, less what the process's umask takes away.
        folder: on the same disk, where the staged file lies; default: beside `path`.

    Raises:
        OSError: the folder cannot be written to.
    """
    beside = (folder or path.parent) / path.name
    _remove_leftovers(beside)
    part, lock = _create(beside, mode)
    with lock:
        try:
            yield part
            part.replace(path)
        except BaseException:
            with suppress(OSError):
                part.unlink()
            raise


def _create(path: Path, mode: int) -> tuple[Path, AbstractContextManager[object]]:
    """Create an empty file beside `path`; return it, and what keeps it from being a leftover."""
    while True:
        part = path.with_name(f"{path.name}.{secrets.token_hex(_DIGITS // 2)}.{_STAGED}")
        try:
            file = os.fdopen(os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode), "r+b")
        except FileExistsError:
            continue
        except OSError as error:
            # By the name that a person knows.
            raise OSError(error.errno, error.strerror, str(path)) from error
        if sys.platform == "win32":
            # There a file in use cannot be removed, nor can one that is open be renamed.
            file.close()
            return part, nullcontext()
        with suppress(CannotLockError):
            try_lock(file)
        # Between creation and lock it looked like a leftover.
        with suppress(FileNotFoundError):
            if os.path.samestat(part.stat(), os.fstat(file.fileno())):
                return part, file
        file.close()


def _remove_leftovers(path: Path) -> None:
    """Remove what killed processes have staged for `path`: nobody holds a lock on it."""
    name = glob.escape(path.name)
    for part in path.parent.glob(f"{name}.{'[0-9a-f]' * _DIGITS}.{_STAGED}"):
        with suppress(OSError):
            if sys.platform == "win32":
                part.unlink()
                continue
            with part.open("r+b") as file:
                if try_lock(file):
                    part.unlink()


def replace_atomic(path: Path, content: bytes, folder: Path | None = None) -> None:
    """Replace a file so that a power cut leaves the old or the new one, whole.

    Args:
        path: to be replaced.
        content: of the file.
        folder: where the file is staged; default: beside `path`.

    Raises:
        OSError: the disk refuses; the old file stays as it was.
    """
    with staged(path, folder=folder) as part:
        try:
            write_synced(part, content)
        except OSError as error:
            # By the name that a person knows.
            raise OSError(error.errno, error.strerror, str(path)) from error
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make renames in a folder survive a power cut, where the system can."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network and foreign file systems cannot sync folders.
        if error.errno not in _CANNOT_SYNC_FOLDERS:
            raise
    finally:
        os.close(descriptor)
