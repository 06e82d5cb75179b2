"""Arrays computed once from a recording, in files that all processes share."""

from __future__ import annotations

import errno
import hashlib
import math
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pamiq_lightning.utils.atomic_io import staged
from pamiq_lightning.utils.console import safe_print
from pamiq_lightning.utils.disk_space import allocate_blocks
from pamiq_lightning.utils.file_lock import CannotLockError, FileLock, HeldError

CACHE = "cache"
"""Folder in a recording; one of the user's own where the recording cannot be written to."""
_NOT_WRITABLE = (errno.EROFS, errno.EACCES, errno.EPERM)


def cached_rows(
    recording: Path, what: str, made_from: str, rows: int, compute: Callable[[], Iterator[Tensor]]
) -> NDArray[np.float32]:
    """Return the rows of a cached file, computed now if it is not there.

    Where several processes want the same file, one computes it and the others wait.

    Args:
        recording: folder of the recording.
        what: one row is, such as `latent`.
        made_from: names all that the rows depend on, for the file's name.
        rows: how many `compute` yields in all.
        compute: yields them in pieces.

    Raises:
        OSError: the disk is full, or no folder can be written to.
    """
    folders = _folders(recording)
    files = [folder / f"{what}_{made_from}.npy" for folder in folders]
    path = next((file for file in files if file.is_file()), None)
    if path is None:
        with _writable(files) as path:
            if not path.is_file():
                safe_print(f"recomputing every {what} of {recording} into {path}")
                _write(path, rows, compute)
    cached: NDArray[np.float32] = np.load(path, mmap_mode="r")
    return cached


def _folders(recording: Path) -> list[Path]:
    """Return where the cache may be, the preferred folder first."""
    # Elsewhere, a name must not stand for a recording that was replaced.
    info = recording / "meta" / "info.json"
    key = f"{recording.resolve()} {info.stat().st_mtime_ns if info.is_file() else 0}"
    elsewhere = Path("pamiq_lightning") / hashlib.sha256(key.encode()).hexdigest()[:16]
    folders = [recording / CACHE, Path(tempfile.gettempdir()) / elsewhere]
    # Without a home, only the temporary folder is left.
    with suppress(RuntimeError):
        users = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        folders.insert(1, Path(users) / elsewhere)
    return folders


@contextmanager
def _writable(files: list[Path]) -> Iterator[Path]:
    """Lock and yield the first of these files that can be written."""
    for file in files:
        lock = FileLock(file.with_suffix(".lock"))
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            _take(lock, file)
        except OSError as error:
            with suppress(OSError):
                # It exists on a disk without room for what is written into it.
                lock.path.unlink()
            if error.errno not in _NOT_WRITABLE or file == files[-1]:
                raise
            safe_print(f"{file.parent} cannot be written to ({error.strerror}): not cached there")
            continue
        try:
            yield file
        finally:
            # Whoever holds the removed file finds the rows complete, or computes them once more.
            lock.release()
            with suppress(OSError):
                lock.path.unlink()
        return


def _take(lock: FileLock, file: Path) -> None:
    try:
        lock.take()
    except CannotLockError:
        # Every process then computes the rows for itself.
        pass
    except HeldError:
        safe_print(f"waiting for another process, which computes {file}")
        lock.wait(math.inf)


def _write(path: Path, rows: int, compute: Callable[[], Iterator[Tensor]]) -> None:
    with staged(path) as part:
        written, at = None, 0
        for piece in compute():
            if written is None:
                shape = (rows, *piece.shape[1:])
                written = np.lib.format.open_memmap(part, "w+", np.float32, shape)
                allocate_blocks(part, 0, part.stat().st_size)
            written[at : at + len(piece)] = piece.numpy()
            at += len(piece)
        if written is not None:
            written.flush()
