"""Files that outlast a crash and a power cut, whole or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

_CANNOT_SYNC_FOLDERS = (errno.EINVAL, errno.ENOTSUP, errno.EBADF)


class WholeFile:
    """A new file, unbuffered, whose `write` writes all it is given or raises.

    A plain one may write a part of it when the disk is about to be full, and only say so in what it
    returns, which neither PyAV nor Arrow looks at. All else is the file's.

    Args:
        path: must not exist.

    Raises:
        OSError: the disk refuses.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("xb", buffering=0)

    def write(self, content: Any) -> int:
        """Write all of it.

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


def write_atomic(path: Path, content: bytes) -> None:
    """Write a file and return when it is on the disk.

    Raises:
        OSError: the disk refuses.
    """
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def replace_atomic(path: Path, content: bytes) -> None:
    """Write a file so that a crash leaves the one before it or this one, whole.

    Raises:
        OSError: the disk refuses; the one before is as it was.
    """
    staged = path.with_suffix(".part")
    try:
        write_atomic(staged, content)
        staged.replace(path)
    except OSError:
        # What there is of it would take room that others need.
        if staged.is_file():
            staged.unlink()
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make what was renamed in a folder outlast a power cut, where the system can."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network and foreign file systems have no such thing.
        if error.errno not in _CANNOT_SYNC_FOLDERS:
            raise
    finally:
        os.close(descriptor)
