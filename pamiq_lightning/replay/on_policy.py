"""The memory of who learns from each window once, while it is new."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from tensordict import TensorDict
from torchrl.data import LazyTensorStorage, TensorDictReplayBuffer
from torchrl.data.replay_buffers.samplers import SamplerWithoutReplacement

from pamiq_lightning.learners.base import Learner, Memory


class WindowReplay:
    """Every new window once, whole, together with the last row of the window before it."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self._last: TensorDict | None = None
        self._new: list[TensorDict] = []
        self._buffer: TensorDictReplayBuffer | None = None
        self._capacity = 0

    def add(self, steps: TensorDict) -> None:
        """Put the window behind the last row of the one before."""
        self._new.append(steps if self._last is None else torch.cat([self._last, steps]))
        self._last = steps[-1:].clone()

    def _filled(self, rows: TensorDict) -> TensorDictReplayBuffer:
        """Return the buffer with just these rows in it."""
        # One for all windows: each holds locks that only a full garbage collection frees.
        if self._buffer is None or self._capacity < len(rows):
            self._capacity = len(rows)
            self._buffer = TensorDictReplayBuffer(
                storage=LazyTensorStorage(self._capacity),
                sampler=SamplerWithoutReplacement(),
                batch_size=self.memory.batch_size,
            )
        self._buffer.empty()
        self._buffer.extend(rows)
        return self._buffer

    def batches(self, learner: Learner) -> Iterator[TensorDict]:
        """Yield minibatches without replacement, `updates` passes over each new window."""
        while self._new:
            rows = learner.prepare(self._new.pop(0))
            if not len(rows):
                continue
            buffer = self._filled(rows)
            for _ in range(self.memory.updates * math.ceil(len(rows) / self.memory.batch_size)):
                if learner.satisfied:
                    break
                yield buffer.sample()

    def flush(self) -> None:
        """Return at once: it has no files."""

    def state(self) -> dict[str, Any]:
        """Return the last row, and the windows whose turn has not come."""
        return {
            "kind": self.memory.kind,
            "capacity": self.memory.capacity,
            "last": None if self._last is None else self._last.to_dict(),
            "new": [window.to_dict() for window in self._new],
        }

    def restore(self, state: dict[str, Any]) -> str | None:
        """Take up the row that the next window is put behind, and the windows that wait."""
        check_memory(state, self.memory)
        self._last = None if state["last"] is None else TensorDict(state["last"], [1])
        self._new = [TensorDict(window, [len(window["index"])]) for window in state["new"]]
        return None


def check_memory(state: Mapping[str, Any], memory: Memory) -> None:
    """Check that a memory's state is of one that remembers like this.

    Raises:
        ValueError: it is not.
    """
    if (state["kind"], state["capacity"]) != (memory.kind, memory.capacity):
        raise ValueError(
            f"it remembers {state['capacity']} {state['kind']}, the settings say "
            f"{memory.capacity} {memory.kind}"
        )
