"""Shared memory between processes: a memory-mapped file of numpy arrays, words, and a slot ring."""

from __future__ import annotations

import errno
import mmap
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Generic, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from pamiq_lightning.utils.disk_space import allocate_blocks
from pamiq_lightning.utils.file_lock import CannotLockError, FileLock, HeldError

T = TypeVar("T")

ALIGNMENT = 64
"""Bytes; a cache line, so counters of different owners never share one."""

FOLDERS = (Path("/dev/shm"), Path(tempfile.gettempdir()))
PREFIX, OWNER_LOCK = "pamiq-exchange-", "owner.lock"

Field = tuple[str, tuple[int, ...], DTypeLike]
Layout = tuple[tuple[str, tuple[int, ...], np.dtype[np.generic]], ...]


def layout(fields: Iterable[Field]) -> Layout:
    """Make a picklable layout from (name, shape, type) triples."""
    return tuple((name, tuple(shape), np.dtype(dtype)) for name, shape, dtype in fields)


def aligned(size: int) -> int:
    """Round a number of bytes up to the alignment."""
    return -(-size // ALIGNMENT) * ALIGNMENT


def array_bytes(shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> int:
    """Return the bytes an array takes."""
    return int(np.prod(shape, dtype=np.int64)) * dtype.itemsize


def file_bytes(fields: Layout) -> int:
    """Return the size of the file of a layout."""
    return max(sum(aligned(array_bytes(shape, dtype)) for _, shape, dtype in fields), 1)


class SharedFolder:
    """A private folder for shared files, whose lock proves that its owner is alive.

    As a context it removes the folder only if the body raises.

    Args:
        path: of the folder.
        lock: of the owner, held until the folder is removed or this process ends.
    """

    def __init__(self, path: Path, lock: FileLock) -> None:
        self.path, self._lock = path, lock

    @classmethod
    def create(cls, size: int) -> SharedFolder:
        """Create a folder for shared files of `size` bytes in all.

        It is in /dev/shm if that has room (containers often limit it to 64 MB), else in the temp
        folder. Folders of processes that were killed are removed first.

        Raises:
            OSError: neither has room.
        """
        for parent in FOLDERS:
            if parent.is_dir() and os.access(parent, os.W_OK):
                _remove_orphans(parent)
                free = shutil.disk_usage(parent).free
                if free > size * 1.1:
                    return cls._create_in(parent)
        raise OSError(
            errno.ENOSPC,
            f"memory shared between processes needs {size / 1e6:.0f} MB in /dev/shm or in "
            f"{tempfile.gettempdir()}; free some space or set TMPDIR to a folder that has it",
        )

    @classmethod
    def _create_in(cls, parent: Path) -> SharedFolder:
        while True:
            path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
            lock = FileLock(path / OWNER_LOCK)
            try:
                # Without locks on this file system nobody will remove it for an orphan.
                with suppress(CannotLockError):
                    lock.take()
                if lock.path.exists():
                    return cls(path, lock)
                lock.release()
            except (HeldError, FileNotFoundError):
                continue  # Another start saw the lock before it was held, and removed the folder.
            except OSError:
                shutil.rmtree(path, ignore_errors=True)
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Remove the folder if what was to be created in it failed."""
        if kind is not None:
            self.remove()

    def remove(self) -> None:
        """Remove the folder; a process that has its files mapped keeps them until it ends."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._lock.release()


def _remove_orphans(parent: Path) -> None:
    """Remove folders whose owner has ended: in /dev/shm they would take memory for ever.

    Only a lock that is there and free proves that; any other folder stays.
    """
    for lock in (FileLock(path) for path in parent.glob(f"{PREFIX}*/{OWNER_LOCK}")):
        with suppress(HeldError, OSError):
            lock.take()
            if os.name == "nt":
                # Windows removes no open file, so one that an owner has just opened is safe.
                lock.release()
            shutil.rmtree(lock.path.parent, ignore_errors=True)
            lock.release()


class SharedFile:
    """Numpy arrays over one memory-mapped file.

    The file is fully allocated when created: with a sparse file, a disk that fills later would kill
    the writing process by SIGBUS.
    """

    def __init__(self, path: Path, fields: Layout, create: bool = False) -> None:
        self.path = path
        size = file_bytes(fields)
        if create:
            path.open("xb").close()
            allocate_blocks(path, 0, size)
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), size)
        self.arrays: dict[str, NDArray[Any]] = {}
        offset = 0
        for name, shape, dtype in fields:
            count = int(np.prod(shape, dtype=np.int64))
            self.arrays[name] = np.frombuffer(self._map, dtype, count, offset).reshape(shape)
            offset += aligned(array_bytes(shape, dtype))

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self.arrays[name]

    def close(self) -> None:
        """Release the mapping; the file stays.

        Raises:
            BufferError: a view of an array is still in use.
        """
        self.arrays.clear()
        self._map.close()


class HasSharedFile(Protocol):
    """An object whose words are in a shared file."""

    file: SharedFile


class Word(Generic[T]):
    """Descriptor: an attribute stored in the field of the same name in the owner's shared file.

    The field is one aligned 8-byte number with one writing process, so no reader sees half of it.
    """

    def __init__(self, kind: Callable[[Any], T]) -> None:
        self._kind, self._dtype = kind, np.float64 if kind is float else np.int64

    @staticmethod
    def fields(owner: type) -> list[Field]:
        """Return the fields of all words of a class."""
        words = vars(owner).items()
        return [(name, (1,), word._dtype) for name, word in words if isinstance(word, Word)]

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: HasSharedFile, owner: type) -> T:
        return self._kind(instance.file[self._name][0])

    def __set__(self, instance: HasSharedFile, value: T) -> None:
        instance.file[self._name][0] = value


class SlotRing:
    """Numbered items in a ring of slots; the writer never waits and a reader never gets a torn one.

    Item n is in slot n % slots. The slot's generation is 2n + 1 while item n is written and 2n + 2
    once it is complete; `filled` is one more than the number of the newest complete item.

    Args:
        file: has the fields that `fields` lists.
    """

    def __init__(self, file: SharedFile) -> None:
        self._file = file

    @staticmethod
    def fields(slots: int) -> list[Field]:
        """Return the fields of a ring's own state."""
        return [("filled", (1,), np.int64), ("generation", (slots,), np.int64)]

    @property
    def filled(self) -> int:
        """One more than the number of the newest complete item."""
        return int(self._file["filled"][0])

    def slot(self, number: int) -> int:
        """Return the slot of an item."""
        return number % len(self._file["generation"])

    def open(self, number: int) -> int:
        """Writer: mark an item's slot as being written, and return the slot."""
        slot = self.slot(number)
        self._file["generation"][slot] = 2 * number + 1
        return slot

    def commit(self, number: int) -> None:
        """Writer: mark an item as complete and as the newest."""
        self._file["generation"][self.slot(number)] = 2 * number + 2
        self._file["filled"][0] = number + 1

    def read(self, number: int, copy: Callable[[int], T]) -> T | None:
        """Return `copy(slot)` of an item, or None if the item is incomplete or was overwritten."""
        slot, complete = self.slot(number), 2 * number + 2
        if int(self._file["generation"][slot]) != complete:
            return None
        item = copy(slot)
        return item if int(self._file["generation"][slot]) == complete else None
