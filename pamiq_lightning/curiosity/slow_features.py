"""What changes least in a series, and a fair memory: for rewards that remember where they were."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

SMALLEST_VARIANCE = 1e-3
"""A direction that varies by less than this share of the one that varies, or varied, most is not
looked at: its slowness is that of rounding and of chance."""


class SlowFeatures:
    """Those directions in which a series changes least, each scaled to a variance of 1.

    Source: Wiskott & Sejnowski 2002, "Slow Feature Analysis" (Neural Computation 14(4)), with
    statistics that forget.

    Args:
        width: F, numbers in a row of the series.
        forget: rows after which a row's weight in the statistics has fallen to 1/e.
    """

    def __init__(self, width: int, forget: int) -> None:
        self.seen, self._forget = 0, forget
        self._mean = torch.zeros(width, dtype=torch.float64)
        self._last = torch.zeros_like(self._mean)
        self._spread = torch.zeros(width, width, dtype=torch.float64)
        self._change = torch.zeros_like(self._spread)
        self._most = 0.0

    def see(self, row: Float[Tensor, " F"]) -> None:
        """Take the next row into the statistics."""
        now = row.double()
        self.seen += 1
        share = max(1 / self.seen, 1 / self._forget)
        from_mean, change = now - self._mean, now - self._last
        self._mean = self._mean + share * from_mean
        self._spread = (1 - share) * (self._spread + share * from_mean.outer(from_mean))
        if self.seen > 1:
            self._change = self._change + share * (change.outer(change) - self._change)
        self._last = now

    def solve(self, count: int, fastest: float) -> Float[Tensor, "F found"]:
        """Return the slowest directions, `count` of them or as many as there are.

        Args:
            count: how many at most.
            fastest: the most that the square of their change from row to row may be on average, in
                terms of their variance; 2 for a series of independent rows.
        """
        variance, directions = torch.linalg.eigh(self._spread)
        self._most = max(self._most, float(variance[-1]))
        kept = variance > max(SMALLEST_VARIANCE * self._most, 1e-30)
        white = directions[:, kept] / variance[kept].sqrt()
        change, slowest = torch.linalg.eigh(white.T @ self._change @ white)
        found: Tensor = (white @ slowest[:, change <= fastest][:, :count]).float()
        return found

    def state_dict(self) -> dict[str, Any]:
        """Return the statistics."""
        return {
            "seen": self.seen,
            "most": self._most,
            "mean": self._mean.clone(),
            "last": self._last.clone(),
            "spread": self._spread.clone(),
            "change": self._change.clone(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` returned."""
        self.seen, self._most = state["seen"], state["most"]
        self._mean, self._last = state["mean"].clone(), state["last"].clone()
        self._spread, self._change = state["spread"].clone(), state["change"].clone()


class Reservoir:
    """A memory in which, at any time, every row so far had the same chance to be.

    Source: Vitter 1985, "Random Sampling with a Reservoir" (algorithm R).

    Args:
        capacity: rows remembered.
        width: F, numbers in a row.
        seed: of what is forgotten.
    """

    def __init__(self, capacity: int, width: int, seed: int) -> None:
        self._rows, self._seen = torch.zeros(capacity, width), 0
        self._generator = torch.Generator().manual_seed(seed)

    @property
    def rows(self) -> Float[Tensor, "n F"]:
        """What is remembered."""
        return self._rows[: self._seen]

    def add(self, row: Float[Tensor, " F"]) -> int | None:
        """Remember a row, or not; return where."""
        place, self._seen = self._seen, self._seen + 1
        if place >= len(self._rows):
            place = int(torch.randint(self._seen, (), generator=self._generator))
        if place >= len(self._rows):
            return None
        self._rows[place] = row
        return place

    def state_dict(self) -> dict[str, Any]:
        """Return the memory."""
        rows = self.rows.clone()
        return {"rows": rows, "seen": self._seen, "generator": self._generator.get_state()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` returned."""
        self._seen = state["seen"]
        self._rows[: len(state["rows"])] = state["rows"]
        self._generator.set_state(state["generator"])
