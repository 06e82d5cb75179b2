"""Rows of a replay buffer in memory-mapped files, which all checkpoints of a run share.

A checkpoint holds only the state of the buffer; the rows stay in their files. Saving a buffer of
20 GB therefore writes only what is new. Each key has one file of `capacity` rows. Each row has a
tick and a checksum of its content, written after the content: a row that is torn by a kill, a power
failure or a damaged disk is recognised.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from numpy.typing import DTypeLike, NDArray
from tensordict import TensorDict
from torch import Tensor
from torchrl.data import LazyTensorStorage, TensorDictReplayBuffer, TensorStorage

from pamiq_lightning.utils.disk_space import allocate_blocks

RowField = tuple[tuple[int, ...], DTypeLike]
"""Shape without the row dimension, and numpy type."""

TICK, CHECKSUM = "tick", "checksum"
_CHUNK_BYTES = 64 << 20
"""Disk space is allocated in chunks of about this size, so that a short run leaves small files."""


class MemmapRows:
    """Rows in memory-mapped files. One process at a time may open them.

    Args:
        folder: of the files; created where it is missing.
        capacity: rows at most.
        fields: shape and type of each key.

    Attributes:
        tensors: TensorDict [capacity] over the files.
        ticks: (capacity,) tick of each row; undefined where no row was written.
        problems: what is wrong with the files, in words.
        allocated: rows that have disk space.
    """

    def __init__(self, folder: Path, capacity: int, fields: Mapping[str, RowField]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.capacity = capacity
        self.problems: list[str] = []
        self._fields = {**fields, TICK: ((), np.int64), CHECKSUM: ((), np.uint32)}
        self._paths = {key: folder / f"{key}.rows" for key in self._fields}
        is_new = not any(path.exists() for path in self._paths.values())
        self._maps = {key: self._map(key, is_new) for key in self._fields}
        # Plain arrays: slicing a numpy memmap costs microseconds more.
        arrays = {key: np.asarray(mapped) for key, mapped in self._maps.items()}
        self.ticks: NDArray[np.int64] = arrays[TICK]
        self._checksums = arrays[CHECKSUM]
        self._contents = [arrays[key] for key in sorted(fields)]
        self.tensors = TensorDict(
            {key: torch.from_numpy(arrays[key]) for key in fields}, [capacity]
        )
        self._known_valid = np.zeros(capacity, np.bool_)
        self.allocated = 0

    def _row_bytes(self, key: str) -> int:
        shape, dtype = self._fields[key]
        return int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize

    def _map(self, key: str, is_new: bool) -> np.memmap[tuple[int, ...], np.dtype[np.generic]]:
        path, (shape, dtype) = self._paths[key], self._fields[key]
        size = max(self.capacity * self._row_bytes(key), 1)
        found = path.stat().st_size if path.exists() else 0
        if found != size:
            if not is_new:
                self.problems.append(f"{path} has {found} bytes instead of {size}")
            with path.open("ab") as file:
                file.truncate(size)
        return np.memmap(path, dtype, "r+", shape=(self.capacity, *shape))

    def allocate(self, count: int) -> int:
        """Allocate disk space for at least the first `count` rows; return for how many there is.

        Without it, a write to a mapped file on a full disk kills the process.
        """
        if count <= self.allocated:
            return self.allocated
        row = sum(self._row_bytes(key) for key in self._fields)
        chunk = max(1, _CHUNK_BYTES // row)
        wanted = min(self.capacity, -(-count // chunk) * chunk)
        try:
            for key, path in self._paths.items():
                size = self._row_bytes(key)
                allocate_blocks(path, self.allocated * size, (wanted - self.allocated) * size)
        except OSError:
            # Keys that got their space keep it, and it is asked for again.
            return self.allocated
        self.allocated = wanted
        return wanted

    def write_checksum(self, indices: Int[Tensor, " n"], ticks: Int[Tensor, " n"]) -> None:
        """Complete rows whose content is written: store their ticks and checksums."""
        for index, tick in zip(indices.tolist(), ticks.tolist(), strict=True):
            self._checksums[index] = self._checksum(index, tick)
            self.ticks[index] = tick
        self._known_valid[indices.numpy()] = True

    def valid(self, indices: Int[Tensor, " n"]) -> NDArray[np.bool_]:
        """Return which rows have the right checksum (n,); each valid row is checked once."""
        wanted = indices.numpy()
        for index in np.unique(wanted[~self._known_valid[wanted]]).tolist():
            expected = self._checksum(index, int(self.ticks[index]))
            self._known_valid[index] = int(self._checksums[index]) == expected
        found: NDArray[np.bool_] = self._known_valid[wanted]
        return found

    def move(self, source: int, target: int) -> None:
        """Copy a row to another index."""
        for array in (*self._contents, self._checksums, self.ticks, self._known_valid):
            array[target] = array[source]

    def _checksum(self, index: int, tick: int) -> int:
        total = zlib.crc32(tick.to_bytes(8, "little", signed=True))
        for content in self._contents:
            total = zlib.crc32(content[index : index + 1].data, total)
        return total

    def flush(self) -> None:
        """Write all rows to the disk.

        Raises:
            OSError: the disk refuses.
        """
        for mapped in self._maps.values():
            mapped.flush()


class RowStorage:
    """A TorchRL buffer over rows in memory, or in files that outlive the process.

    Args:
        capacity: rows at most.
        rows: the files; default: the rows are in memory, laid out like the first ones added.
        kwargs: of the TorchRL buffer.

    Attributes:
        buffer: the TorchRL buffer, to sample and read from.
    """

    def __init__(self, capacity: int, rows: MemmapRows | None, **kwargs: Any) -> None:
        self._rows = rows
        self._storage: TensorStorage = LazyTensorStorage(capacity)
        if rows is not None:
            # TorchRL's buffer keeps a storage index of its own under this name.
            indices = torch.zeros(capacity, dtype=torch.int64)
            self._storage = TensorStorage(rows.tensors.clone(recurse=False).set("index", indices))
        self.buffer = TensorDictReplayBuffer(storage=self._storage, **kwargs)
        self.set_cursor(0, 0)

    def files(self) -> MemmapRows:
        """Return the files, which a state to load needs.

        Raises:
            ValueError: the rows are in memory alone.
        """
        if self._rows is None:
            raise ValueError("a replay buffer without files cannot be restored")
        return self._rows

    def set_cursor(self, length: int, cursor: int) -> None:
        """Take the first `length` rows as filled, and write at `cursor` next."""
        # Private, but TorchRL (pinned to 0.14) has no other way to adopt existing rows.
        self._storage._len = length
        self.buffer.writer.load_state_dict({"_cursor": cursor})

    def room(self, wanted: int) -> int:
        """Return how many more rows can be appended, `wanted` at most."""
        length = len(self.buffer)
        wanted = min(wanted, self._storage.max_size - length)
        if self._rows is None:
            return wanted
        return min(wanted, self._rows.allocate(length + wanted) - length)

    def append(self, steps: TensorDict, ticks: Int[Tensor, " N"]) -> None:
        """Append rows, over the oldest ones where the buffer is full."""
        indices = self.buffer.extend(steps)
        if self._rows is not None:
            self._rows.write_checksum(indices, ticks)

    def replace(
        self, indices: Int[Tensor, " N"], steps: TensorDict, ticks: Int[Tensor, " N"]
    ) -> None:
        """Overwrite the rows at these indices."""
        self._storage.set(indices, steps, set_cursor=False)
        if self._rows is not None:
            self._rows.write_checksum(indices, ticks)
