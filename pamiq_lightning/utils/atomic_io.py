"""Files that survive a crash or a power cut either whole or not at all."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_CANNOT_SYNC_FOLDERS = (errno.EINVAL, errno.ENOTSUP, errno.EBADF)


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
def staged(path: Path) -> Iterator[Path]:
    """Yield a path to write to; at the end the file there replaces `path` in one step.

    If the body raises, `path` stays as it was and the staged file is removed.
    """
    part = path.with_name(f"{path.name}.part")
    try:
        yield part
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def replace_atomic(path: Path, content: bytes) -> None:
    """Replace a file so that a power cut leaves the old or the new one, whole.

    Raises:
        OSError: the disk refuses; the old file stays as it was.
    """
    with staged(path) as part:
        write_synced(part, content)
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
