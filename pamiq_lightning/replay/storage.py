"""A TorchRL buffer over rows in memory, or in files that outlive the process."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Int
from tensordict import TensorDict
from torch import Tensor
from torchrl.data import LazyTensorStorage, TensorDictReplayBuffer, TensorStorage

from pamiq_lightning.replay.memmap import MemmapRows


class Store:
    """A TorchRL buffer over rows in memory, or in files that outlive the process.

    Args:
        capacity: rows at most.
        rows: the files; default: the rows are in memory, laid out as the first ones that come.
        kwargs: of the buffer.
    """

    def __init__(self, capacity: int, rows: MemmapRows | None, **kwargs: Any) -> None:
        self.rows = rows
        self.storage: TensorStorage = LazyTensorStorage(capacity)
        if rows is not None:
            # TorchRL's buffer keeps a storage index of its own under this name.
            indices = torch.zeros(capacity, dtype=torch.int64)
            self.storage = TensorStorage(rows.tensors.clone(recurse=False).set("index", indices))
        self.buffer = TensorDictReplayBuffer(storage=self.storage, **kwargs)
        self.set_cursor(0, 0)

    def set_cursor(self, length: int, cursor: int) -> None:
        """Take the first `length` places for filled, and write at `cursor` next."""
        # Private, but TorchRL has no other way to adopt rows that are there; it is pinned to 0.14.
        self.storage._len = length
        self.buffer.writer.load_state_dict({"_cursor": cursor})

    def room(self, wanted: int) -> int:
        """Return how many more rows can be appended, `wanted` at most."""
        length = len(self.buffer)
        wanted = min(wanted, self.storage.max_size - length)
        if self.rows is None:
            return wanted
        return min(wanted, self.rows.allocate(length + wanted) - length)

    def extend(self, steps: TensorDict, numbers: Int[Tensor, " N"]) -> None:
        """Write behind the row written last."""
        indices = self.buffer.extend(steps)
        if self.rows is not None:
            self.rows.write_checksum(indices, numbers)

    def put(
        self, indices: Int[Tensor, " N"], steps: TensorDict, numbers: Int[Tensor, " N"]
    ) -> None:
        """Write in the place of other rows."""
        self.storage.set(indices, steps, set_cursor=False)
        if self.rows is not None:
            self.rows.write_checksum(indices, numbers)

    def flush(self) -> None:
        """Return when all that is in files is on the disk.

        Raises:
            OSError: the disk refuses.
        """
        if self.rows is not None:
            self.rows.flush()
