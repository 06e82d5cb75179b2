"""On-policy replay: each rollout is trained on once, while it is new."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from tensordict import TensorDict
from torchrl.data import LazyTensorStorage, TensorDictReplayBuffer
from torchrl.data.replay_buffers.samplers import SamplerWithoutReplacement

from pamiq_lightning.learners.base import Learner, ReplaySpec
from pamiq_lightning.replay.base import check_same_spec


class OnPolicyReplay:
    """Each new rollout once, preceded by the last row of the rollout before.

    Args:
        spec: batch size, and passes over each rollout (`updates`).
    """

    def __init__(self, spec: ReplaySpec) -> None:
        self.spec = spec
        self._last: TensorDict | None = None
        self._rollouts: list[TensorDict] = []
        self._buffer: TensorDictReplayBuffer | None = None
        self._capacity = 0

    def extend(self, steps: TensorDict) -> None:
        """Append a rollout [N] to the last row of the one before."""
        self._rollouts.append(steps if self._last is None else torch.cat([self._last, steps]))
        self._last = steps[-1:].clone()

    def batches(self, learner: Learner) -> Iterator[TensorDict]:
        """Yield minibatches without replacement: `updates` passes over each new rollout."""
        while self._rollouts:
            rows = learner.prepare(self._rollouts.pop(0))
            if not len(rows):
                continue
            buffer = self._filled(rows)
            for _ in range(self.spec.updates * math.ceil(len(rows) / self.spec.batch_size)):
                if learner.should_stop_round:
                    break
                yield buffer.sample()

    def _filled(self, rows: TensorDict) -> TensorDictReplayBuffer:
        """Return the TorchRL buffer with these rows alone in it."""
        # One buffer for all rollouts: each holds locks that only a full garbage collection frees.
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

    def flush(self) -> None:
        """Return at once: there are no files."""

    def state_dict(self) -> dict[str, Any]:
        """Return the last row and the rollouts that have not been trained on."""
        return {
            "kind": self.spec.kind,
            "capacity": self.spec.capacity,
            "last": None if self._last is None else self._last.to_dict(),
            "rollouts": [rollout.to_dict() for rollout in self._rollouts],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> str | None:
        """Restore the last row and the rollouts that have not been trained on."""
        check_same_spec(state, self.spec)
        self._last = None if state["last"] is None else TensorDict(state["last"], [1])
        self._rollouts = [
            TensorDict(rollout, [len(rollout["index"])]) for rollout in state["rollouts"]
        ]
        return None
