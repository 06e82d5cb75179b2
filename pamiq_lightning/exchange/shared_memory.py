"""Named memory that several processes map: one fully allocated file, split into numpy arrays."""

from __future__ import annotations

import errno
import mmap
import os
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike, NDArray

ALIGNMENT = 64
"""Bytes; a cache line, so that counters of different owners never share one."""

FOLDERS = (Path("/dev/shm"), Path(tempfile.gettempdir()))
PREFIX = "pamiq-exchange-"

Layout = tuple[tuple[str, tuple[int, ...], np.dtype[np.generic]], ...]


def layout(fields: Iterable[tuple[str, tuple[int, ...], DTypeLike]]) -> Layout:
    """Make a picklable layout from (name, shape, type) triples."""
    return tuple((name, tuple(shape), np.dtype(dtype)) for name, shape, dtype in fields)


def aligned(size: int) -> int:
    """Round a number of bytes up to the alignment."""
    return -(-size // ALIGNMENT) * ALIGNMENT


def array_bytes(shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> int:
    """Return the bytes an array takes."""
    return int(np.prod(shape, dtype=np.int64)) * dtype.itemsize


def exchange_folder(size: int) -> Path:
    """Return a new private folder for shared files of `size` bytes in all.

    /dev/shm where it exists and has room (containers often give it 64 MB), else the temp folder.
    What processes that were killed left there is removed first.

    Raises:
        OSError: neither has room.
    """
    for parent in FOLDERS:
        if parent.is_dir() and os.access(parent, os.W_OK):
            _sweep(parent)
            free = shutil.disk_usage(parent).free
            if free > size * 1.1:
                return Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=parent))
    raise OSError(
        errno.ENOSPC,
        f"the exchange between agent and trainer needs {size / 1e6:.0f} MB in /dev/shm or in "
        f"{tempfile.gettempdir()}; free some space or set TMPDIR to a folder that has it",
    )


def _sweep(parent: Path) -> None:
    """Remove the folders of owners that are no more: in /dev/shm they take memory for ever."""
    for folder in parent.glob(f"{PREFIX}*-*"):
        owner = folder.name.removeprefix(PREFIX).split("-")[0]
        if owner.isdigit() and not _lives(int(owner)):
            shutil.rmtree(folder, ignore_errors=True)


def _lives(pid: int) -> bool:
    if os.name == "nt":
        # There, files in use cannot be removed anyway, and a signal 0 would end the process.
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


class SharedFile:
    """Numpy arrays over one memory-mapped file.

    The file is fully allocated when created: a disk that fills later cannot kill a process that
    writes into it (a sparse mapping would end it by SIGBUS).
    """

    def __init__(self, path: Path, fields: Layout, create: bool = False) -> None:
        self.path = path
        size = max(sum(aligned(array_bytes(shape, dtype)) for _, shape, dtype in fields), 1)
        if create:
            with path.open("xb") as file:
                _allocate(file.fileno(), size)
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), size)
        self.arrays: dict[str, NDArray[np.generic]] = {}
        offset = 0
        for name, shape, dtype in fields:
            count = int(np.prod(shape, dtype=np.int64))
            flat = np.frombuffer(self._map, dtype, count, offset)
            self.arrays[name] = flat.reshape(shape)
            offset += aligned(array_bytes(shape, dtype))

    def __getitem__(self, name: str) -> NDArray[np.generic]:
        return self.arrays[name]


def _allocate(descriptor: int, size: int) -> None:
    """Give the file all its blocks now."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
        return
    zeros = bytes(1 << 20)
    for start in range(0, size, len(zeros)):
        os.write(descriptor, zeros[: min(len(zeros), size - start)])
