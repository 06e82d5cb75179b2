"""The memory of who learns from each window once, while it is new."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from tensordict import TensorDict
from torchrl.data import LazyTensorStorage, TensorDictReplayBuffer
from torchrl.data.replay_buffers.samplers import SamplerWithoutReplacement

from pamiq_lightning.learners.base import Learner, ReplaySpec


class OnPolicyReplay:
    """Every new window once, whole, together with the last row of the window before it."""

    def __init__(self, spec: ReplaySpec) -> None:
        self.spec = spec
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
                batch_size=self.spec.batch_size,
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
            for _ in range(self.spec.updates * math.ceil(len(rows) / self.spec.batch_size)):
                if learner.should_stop_round:
                    break
                yield buffer.sample()

    def flush(self) -> None:
        """Return at once: it has no files."""

    def state(self) -> dict[str, Any]:
        """Return the last row, and the windows whose turn has not come."""
        return {
            "kind": self.spec.kind,
            "capacity": self.spec.capacity,
            "last": None if self._last is None else self._last.to_dict(),
            "new": [rollout.to_dict() for rollout in self._new],
        }

    def restore(self, state: dict[str, Any]) -> str | None:
        """Take up the row that the next window is put behind, and the windows that wait."""
        check_memory(state, self.spec)
        self._last = None if state["last"] is None else TensorDict(state["last"], [1])
        self._new = [TensorDict(rollout, [len(rollout["index"])]) for rollout in state["new"]]
        return None


def check_memory(state: Mapping[str, Any], spec: ReplaySpec) -> None:
    """Check that a memory's state is of one that remembers like this.

    Raises:
        ValueError: it is not.
    """
    if (state["kind"], state["capacity"]) != (spec.kind, spec.capacity):
        raise ValueError(
            f"it has {state['capacity']} rows ({state['kind']}), the settings say "
            f"{spec.capacity} rows ({spec.kind})"
        )
