"""A control that means nothing: another reward's values, at other times."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from pamiq_lightning.curiosity.base import Curiosity, RewardInputs
from pamiq_lightning.utils.instantiate import build


class Shuffled(Curiosity):
    """Any reward, permuted in time: each value comes out once, at a random later moment.

    The values have the same distribution and drift as the real ones but say nothing of what was
    done. A value waits `span` transitions on average. Before so many have come, some of those
    that wait are shown without being let go.

    Args:
        reward: class_path and init_args of the reward that is permuted.
        span: values that wait at a time.
        seed: of the permutation.

    Raises:
        ValueError: a span below 2.
        SpecError: the reward's settings are wrong.
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
        """Let the present reward wait, and return one that has waited."""
        new = torch.tensor([self.inner.reward(inputs)], dtype=torch.float64)
        if len(self._waiting) < self._span:
            self._waiting = torch.cat([self._waiting, new])
            return float(self._waiting[self._draw()])
        place = self._draw()
        old = float(self._waiting[place])
        self._waiting[place] = new[0]
        return old

    def _draw(self) -> int:
        return int(torch.randint(len(self._waiting), (), generator=self._generator))

    def state_dict(self) -> dict[str, Any]:
        """Return the values that wait, the generator's state and the inner reward's."""
        return {
            "waiting": self._waiting.clone(),
            "generator": self._generator.get_state(),
            "inner": self.inner.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on permuting."""
        self._waiting = state["waiting"].clone()
        self._generator.set_state(state["generator"])
        self.inner.load_state_dict(state["inner"])
