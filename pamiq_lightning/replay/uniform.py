"""Uniform replay: single valid rows, kept by a reservoir."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from jaxtyping import Int
from tensordict import TensorDict
from torch import Tensor
from torchrl.data.replay_buffers.samplers import RandomSampler

from pamiq_lightning.learners.base import Learner, ReplaySpec
from pamiq_lightning.replay.base import check_same_spec
from pamiq_lightning.replay.memmap import MemmapRows, RowStorage

_EULER_GAMMA = 0.577


class UniformReplay:
    """A reservoir of single valid rows: once full, a new row replaces a random old one.

    A new row is stored with probability p = min(1, (C / L)(ln C + 0.577)). L = turnover * C is the
    expected number of rows that pass before all rows stored now are replaced (coupon collector).

    Attributes:
        keep_probability: p.
        damaged: rows left out because of a wrong checksum.

    Args:
        spec: capacity, turnover, batch size and updates of a round.
        rows: the files of the rows; default: the rows are in memory alone.
    """

    def __init__(self, spec: ReplaySpec, rows: MemmapRows | None = None) -> None:
        self.spec, self.rows = spec, rows
        self._storage = RowStorage(
            spec.capacity, rows, sampler=RandomSampler(), batch_size=spec.batch_size
        )
        self._buffer = self._storage.buffer
        self.damaged = 0
        C = spec.capacity
        self.keep_probability = min(1.0, (math.log(C) + _EULER_GAMMA) / spec.turnover)

    def __len__(self) -> int:
        return len(self._buffer)

    def extend(self, steps: TensorDict) -> None:
        """Append valid rows while there is room, then replace uniformly chosen rows."""
        valid = steps[steps["valid"]]
        ticks, valid = valid["index"], valid.exclude("valid", "index")
        # Negative where the disk has no room even for the present rows.
        room = max(0, self._storage.room(len(valid)))
        if room > 0:
            self._storage.append(valid[:room], ticks[:room])
        chosen = torch.rand(len(valid) - room) < self.keep_probability
        late, ticks = valid[room:][chosen], ticks[room:][chosen]
        # Without replacement: two rows of one rollout must not take the same index.
        if len(late):
            indices = torch.randperm(len(self))[: len(late)]
            self._storage.replace(indices, late[: len(indices)], ticks[: len(indices)])

    def batches(self, learner: Learner) -> Iterator[TensorDict]:
        """Yield `updates` uniform batches."""
        for _ in range(self.spec.updates if len(self) else 0):
            batch = self._sample()
            if batch is not None:
                yield batch

    def _sample(self) -> TensorDict | None:
        """Return a batch of undamaged rows, or None if there are none."""
        while len(self):
            batch: TensorDict = self._buffer.sample()
            if self.rows is None:
                return batch
            indices = batch["index"]
            damaged = indices[torch.from_numpy(~self.rows.valid(indices))].unique()
            if not len(damaged):
                return batch
            self._remove(self.rows, damaged)
        return None

    def _remove(self, rows: MemmapRows, indices: Int[Tensor, " n"]) -> None:
        """Move the last rows into the gaps that these damaged rows leave."""
        length = len(self)
        for index in sorted(indices.tolist(), reverse=True):
            length -= 1
            if index != length:
                rows.move(length, index)
        self.damaged += len(indices)
        self._storage.set_cursor(length, length)

    def flush(self) -> None:
        """Write all rows to the disk."""
        if self.rows is not None:
            self.rows.flush()

    def state_dict(self) -> dict[str, Any]:
        """Return the number of rows."""
        return {"kind": self.spec.kind, "capacity": self.spec.capacity, "length": len(self)}

    def load_state_dict(self, state: Mapping[str, Any]) -> str | None:
        """Restore the number of rows; damaged rows are left out when they are sampled."""
        check_same_spec(state, self.spec)
        rows = self._storage.files()
        length = int(state["length"])
        rows.allocate(length)
        self._storage.set_cursor(length, length % self.spec.capacity)
        if not rows.problems:
            return None
        indices = torch.arange(length)
        self._remove(rows, indices[torch.from_numpy(~rows.valid(indices))])
        return f"{'; '.join(rows.problems)}: {self.damaged} of {length} rows are lost"
