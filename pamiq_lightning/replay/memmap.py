"""MemmapRows of a memory in memory-mapped files, which all checkpoints of a run share.

A checkpoint then holds only where a memory stands, and a save of 20 GB moves what is new. For each
key there is one file of `capacity` rows. Every row carries the number of the step it came from and
a checksum of its content, both written after it: a row that was being written when the process or
the power failed is recognised, and so is one that a disk spoiled.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int
from numpy.typing import DTypeLike, NDArray
from tensordict import TensorDict
from torch import Tensor

Field = tuple[tuple[int, ...], DTypeLike]
"""Shape without the row dimension, and numpy type."""

NUMBER, CHECKSUM = "number", "checksum"
_CHUNK_BYTES = 64 << 20
"""Disk is claimed in pieces of about this size, so that a short life leaves small files."""


class MemmapRows:
    """The rows of one memory. One process at a time may have them open.

    Args:
        folder: for the files; made where it is missing.
        capacity: rows at most.
        fields: of each key.

    Attributes:
        tensors: TensorDict [capacity] over the files.
        numbers: (capacity,) which step each row came from; what was never written is undefined.
        damaged: what is wrong with the files, in words; empty if nothing is.
    """

    def __init__(self, folder: Path, capacity: int, fields: Mapping[str, Field]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.capacity = capacity
        self.damaged: list[str] = []
        self._fields = {**fields, NUMBER: ((), np.int64), CHECKSUM: ((), np.uint32)}
        self._paths = {key: folder / f"{key}.rows" for key in self._fields}
        is_new = not any(path.exists() for path in self._paths.values())
        self._maps = {key: self._map(key, is_new) for key in self._fields}
        # Plain arrays: slices of numpy's memmap cost microseconds more each.
        arrays = {key: np.asarray(mapped) for key, mapped in self._maps.items()}
        self.numbers: NDArray[np.int64] = arrays[NUMBER]
        self._checksums = arrays[CHECKSUM]
        self._contents = [arrays[key] for key in sorted(fields)]
        self.tensors = TensorDict(
            {key: torch.from_numpy(arrays[key]) for key in fields}, [capacity]
        )
        self._known_valid = np.zeros(capacity, np.bool_)
        self.claimed = 0

    def _row_bytes(self, key: str) -> int:
        shape, dtype = self._fields[key]
        return int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize

    def _map(self, key: str, is_new: bool) -> np.memmap[tuple[int, ...], np.dtype[np.generic]]:
        path, (shape, dtype) = self._paths[key], self._fields[key]
        size = max(self.capacity * self._row_bytes(key), 1)
        had = path.stat().st_size if path.exists() else 0
        if had != size:
            if not is_new:
                self.damaged.append(f"{path} has {had} bytes instead of {size}")
            with path.open("ab") as file:
                file.truncate(size)
        return np.memmap(path, dtype, "r+", shape=(self.capacity, *shape))

    def allocate(self, count: int) -> int:
        """Make sure of disk for the first `count` rows; return for how many there is.

        A write into a mapped file that the disk has no block for would end the process.
        """
        if count <= self.claimed:
            return self.claimed
        row = sum(self._row_bytes(key) for key in self._fields)
        chunk = max(1, _CHUNK_BYTES // row)
        wanted = min(self.capacity, -(-count // chunk) * chunk)
        try:
            for key, path in self._paths.items():
                size = self._row_bytes(key)
                _allocate(path, self.claimed * size, (wanted - self.claimed) * size)
        except OSError:
            # What was claimed for some keys stays theirs and is asked for again.
            return self.claimed
        self.claimed = wanted
        return wanted

    def write_checksum(self, indices: Int[Tensor, " n"], numbers: Int[Tensor, " n"]) -> None:
        """Say that the rows at these places are written, and which steps they came from."""
        for index, number in zip(indices.tolist(), numbers.tolist(), strict=True):
            self._checksums[index] = self._checksum(index, number)
            self.numbers[index] = number
        self._known_valid[indices.numpy()] = True

    def valid(self, indices: Int[Tensor, " n"]) -> NDArray[np.bool_]:
        """Tell which of the rows at these places are whole; each is looked at once."""
        wanted = indices.numpy()
        for index in np.unique(wanted[~self._known_valid[wanted]]).tolist():
            number = int(self.numbers[index])
            is_sound = int(self._checksums[index]) == self._checksum(index, number)
            self._known_valid[index] = is_sound
        found: NDArray[np.bool_] = self._known_valid[wanted]
        return found

    def move(self, source: int, target: int) -> None:
        """Put the row of one place into another too."""
        for content in self._contents:
            content[target] = content[source]
        self._checksums[target], self.numbers[target] = (
            self._checksums[source],
            self.numbers[source],
        )
        self._known_valid[target] = self._known_valid[source]

    def _checksum(self, index: int, number: int) -> int:
        total = zlib.crc32(number.to_bytes(8, "little", signed=True))
        for content in self._contents:
            total = zlib.crc32(content[index : index + 1].data, total)
        return total

    def flush(self) -> None:
        """Return when all that was written is on the disk.

        Raises:
            OSError: the disk refuses.
        """
        for mapped in self._maps.values():
            mapped.flush()


def _allocate(path: Path, offset: int, length: int) -> None:
    """Give a part of a file its blocks; its content stays.

    Raises:
        OSError: there is no room.
    """
    if not length:
        return
    with path.open("r+b") as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), offset, length)
        # On Windows a file made longer has its blocks; on macOS a full disk may end the trainer.
