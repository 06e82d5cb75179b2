"""Slow feature analysis and reservoir sampling, for `SlowNovelty`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

SMALLEST_VARIANCE = 1e-3
"""Directions below this share of the largest variance so far are left out: they hold rounding and
noise."""


class SlowFeatures:
    """The directions in which a series changes least, each scaled to a variance of 1.

    Source: Wiskott & Sejnowski 2002, "Slow Feature Analysis: Unsupervised Learning of Invariances"
    (Neural Computation 14(4)), with exponentially forgetting statistics.

    Args:
        width: F, numbers in a row of the series.
        forget: rows after which the weight of a row in the statistics has fallen to 1/e.

    Attributes:
        rows: rows of the series so far.
    """

    def __init__(self, width: int, forget: int) -> None:
        self.rows, self._forget = 0, forget
        self._mean = torch.zeros(width, dtype=torch.float64)
        self._last = torch.zeros_like(self._mean)
        self._covariance = torch.zeros(width, width, dtype=torch.float64)
        self._change = torch.zeros_like(self._covariance)
        self._largest = 0.0

    def update(self, row: Float[Tensor, " F"]) -> None:
        """Update the statistics with the next row."""
        now = row.double()
        self.rows += 1
        rate = max(1 / self.rows, 1 / self._forget)
        from_mean, change = now - self._mean, now - self._last
        self._mean = self._mean + rate * from_mean
        self._covariance = (1 - rate) * (self._covariance + rate * from_mean.outer(from_mean))
        if self.rows > 1:
            self._change = self._change + rate * (change.outer(change) - self._change)
        self._last = now

    def solve(self, count: int, fastest: float) -> Float[Tensor, "F n"]:
        """Return the slowest directions, `count` of them or as many as there are.

        Args:
            count: how many at most.
            fastest: largest mean square of a direction's change from row to row, in units of its
                variance; a series of independent rows has 2.
        """
        variance, directions = torch.linalg.eigh(self._covariance)
        self._largest = max(self._largest, float(variance[-1]))
        large = variance > max(SMALLEST_VARIANCE * self._largest, 1e-30)
        white = directions[:, large] / variance[large].sqrt()
        change, slowest = torch.linalg.eigh(white.T @ self._change @ white)
        found: Tensor = (white @ slowest[:, change <= fastest][:, :count]).float()
        return found

    def state_dict(self) -> dict[str, Any]:
        """Return the statistics."""
        return {
            "rows": self.rows,
            "largest": self._largest,
            "mean": self._mean.clone(),
            "last": self._last.clone(),
            "covariance": self._covariance.clone(),
            "change": self._change.clone(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the statistics."""
        self.rows, self._largest = state["rows"], state["largest"]
        self._mean, self._last = state["mean"].clone(), state["last"].clone()
        self._covariance, self._change = state["covariance"].clone(), state["change"].clone()


class Reservoir:
    """A uniform random sample of all rows so far.

    Source: Vitter 1985, "Random Sampling with a Reservoir" (algorithm R).

    Args:
        capacity: rows stored.
        width: F, numbers in a row.
        seed: of the sampling.
    """

    def __init__(self, capacity: int, width: int, seed: int) -> None:
        self._rows, self._count = torch.zeros(capacity, width), 0
        self._generator = torch.Generator().manual_seed(seed)

    @property
    def rows(self) -> Float[Tensor, "n F"]:
        """The stored rows."""
        return self._rows[: self._count]

    def add(self, row: Float[Tensor, " F"]) -> int | None:
        """Offer a row; return the index where it is stored, or None."""
        index, self._count = self._count, self._count + 1
        if index >= len(self._rows):
            index = int(torch.randint(self._count, (), generator=self._generator))
        if index >= len(self._rows):
            return None
        self._rows[index] = row
        return index

    def state_dict(self) -> dict[str, Any]:
        """Return the rows, how many were offered, and the generator's state."""
        rows = self.rows.clone()
        return {"rows": rows, "count": self._count, "generator": self._generator.get_state()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the sample."""
        self._count = state["count"]
        self._rows[: len(state["rows"])] = state["rows"]
        self._generator.set_state(state["generator"])
