"""A control reward without information: another reward's values, permuted in time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from pamiq_lightning.curiosity.base import Curiosity, RewardInputs
from pamiq_lightning.utils.instantiate import build


class Shuffled(Curiosity):
    """Any reward, permuted in time: each value is given once, a random number of steps later.

    The values have the distribution and the drift of the real ones, but say nothing about the
    transition. A value waits `span` transitions on average. Until `span` values wait, a random one
    of those waiting is given and stays.

    Args:
        reward: class_path and init_args of the reward that is permuted.
        span: number of values that wait.
        seed: of the permutation.

    Raises:
        ValueError: a span below 2.
        UsageError: the settings of the reward are wrong.
    """

    def __init__(self, reward: dict[str, Any], span: int = 1000, seed: int = 0) -> None:
        if span < 2:
            raise ValueError(f"span must be at least 2, got {span}")
        self.inner = build(Curiosity, reward, "reward")
        self.horizon, self.aux_heads = self.inner.horizon, self.inner.aux_heads
        self.info_keys = self.inner.info_keys
        self.state_bytes = self.inner.state_bytes + 8 * span + (16 << 10)
        self._span, self._waiting = span, torch.zeros(0, dtype=torch.float64)
        self._generator = torch.Generator().manual_seed(seed)

    def reward(self, inputs: RewardInputs) -> float:
        """Store the present reward, and return one that has waited."""
        new = torch.tensor([self.inner.reward(inputs)], dtype=torch.float64)
        if len(self._waiting) < self._span:
            self._waiting = torch.cat([self._waiting, new])
            return float(self._waiting[self._draw()])
        index = self._draw()
        old = float(self._waiting[index])
        self._waiting[index] = new[0]
        return old

    def _draw(self) -> int:
        return int(torch.randint(len(self._waiting), (), generator=self._generator))

    def state_dict(self) -> dict[str, Any]:
        """Return the waiting values, the generator's state and the inner reward's."""
        return {
            "waiting": self._waiting.clone(),
            "generator": self._generator.get_state(),
            "inner": self.inner.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the permutation and the inner reward."""
        self._waiting = state["waiting"].clone()
        self._generator.set_state(state["generator"])
        self.inner.load_state_dict(state["inner"])
