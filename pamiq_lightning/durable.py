"""Files that outlast a crash and a power cut, whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path


def write_durably(path: Path, content: bytes) -> None:
    """Write a file and return when it is on the disk.

    Raises:
        OSError: the disk refuses.
    """
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def replace_durably(path: Path, content: bytes) -> None:
    """Write a file so that a crash leaves the one before it or this one, whole.

    Raises:
        OSError: the disk refuses; the one before is as it was.
    """
    staged = path.with_suffix(".part")
    write_durably(staged, content)
    staged.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make what was renamed in a folder outlast a power cut, where the system can."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
