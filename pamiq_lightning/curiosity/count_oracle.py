"""A control that knows the truth: rewards what has seldom been done where it was done."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

import torch

from pamiq_lightning.curiosity.base import Curiosity, RewardInputs

HEADINGS = 8
VERTICAL, LOOK = 0, 2
"""Places of the two categories in an action that count, see `agent.actions`."""

Transition = tuple[int, int, int, int]
"""Cell of 1 m, heading in 8 bins, choice of Vertical, choice of LookHorizontal."""


def heading_bin(heading: float) -> int:
    """Return which eighth of the circle a heading (radians) lies in; the first is around 0."""
    return round(heading / math.tau * HEADINGS) % HEADINGS


class CountOracle(Curiosity):
    """1 / sqrt(n) for the n-th time that a transition is made.

    A transition is a cell, a heading and two categories of the action, as embedded worlds tell the
    cell and the heading. No agent could know them: this is an oracle for experiments.
    """

    info_keys = ("cell", "heading")
    # 20 bytes each: three times what can be done in the street.
    state_bytes = 4 << 20

    def __init__(self) -> None:
        self.counts: Counter[Transition] = Counter()

    def reward(self, inputs: RewardInputs) -> float:
        """Count the transition, and return its reward."""
        info, action = inputs.last_info, inputs.last_action
        if info is None or action is None:
            raise ValueError("count_oracle needs the ground truth of an embedded world")
        made = (
            int(info["cell"]),
            heading_bin(info["heading"]),
            int(action[VERTICAL]),
            int(action[LOOK]),
        )
        self.counts[made] += 1
        return 1 / math.sqrt(self.counts[made])

    def state_dict(self) -> dict[str, Any]:
        """Return the transitions made, each with its count."""
        rows = [[*made, count] for made, count in self.counts.items()]
        return {"counts": torch.tensor(rows, dtype=torch.int32).reshape(-1, 5)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on counting."""
        self.counts = Counter(
            {(cell, heading, v, look): n for cell, heading, v, look, n in state["counts"].tolist()}
        )
