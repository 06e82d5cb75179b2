"""A control reward from ground truth: visit counts of state-action pairs."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

import torch

from pamiq_lightning.curiosity.base import Curiosity, RewardInputs

HEADINGS = 8
VERTICAL, LOOK = 0, 2
"""Indices of the two counted action categories, see `agent.actions`."""

Visit = tuple[int, int, int, int]
"""Cell of 1 m, heading in 8 bins, choice of Vertical, choice of LookHorizontal."""


def heading_bin(heading: float) -> int:
    """Return which eighth of the circle a heading (radians) lies in; the first is around 0."""
    return round(heading / math.tau * HEADINGS) % HEADINGS


class CountOracle(Curiosity):
    """1 / sqrt(n) for the n-th visit of a cell, heading and two categories of the action.

    Cell and heading are ground truth of the embedded worlds: an oracle for experiments. Source of
    the bonus: Strehl & Littman 2008, "An analysis of model-based Interval Estimation for Markov
    Decision Processes".
    """

    info_keys = ("cell", "heading")
    # 20 bytes a visit: three times the pairs that the street has.
    state_bytes = 4 << 20

    def __init__(self) -> None:
        self.counts: Counter[Visit] = Counter()

    def reward(self, inputs: RewardInputs) -> float:
        """Count the visit, and return its reward."""
        info, action = inputs.last_info, inputs.last_action
        if info is None or action is None:
            raise ValueError("count_oracle needs the ground truth of an embedded world")
        vertical, look = int(action[VERTICAL]), int(action[LOOK])
        visit = int(info["cell"]), heading_bin(info["heading"]), vertical, look
        self.counts[visit] += 1
        return 1 / math.sqrt(self.counts[visit])

    def state_dict(self) -> dict[str, Any]:
        """Return (n, 5): each visited pair and its count."""
        rows = [[*visit, count] for visit, count in self.counts.items()]
        return {"counts": torch.tensor(rows, dtype=torch.int32).reshape(-1, 5)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the counts."""
        self.counts = Counter(
            {(cell, heading, v, look): n for cell, heading, v, look, n in state["counts"].tolist()}
        )
