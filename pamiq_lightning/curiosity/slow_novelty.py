"""Novelty of where one is, not of what flickers there: distances among slow features."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from pamiq_lightning.curiosity.base import Curiosity, Evidence


class SlowFeatures:
    """Those directions in which a series changes least, each scaled to a variance of 1.

    Source: Wiskott & Sejnowski 2002, "Slow Feature Analysis" (Neural Computation 14(4)), with
    statistics that forget.

    Args:
        width: numbers in a row of the series.
        forget: rows after which the statistics have forgotten.
    """

    def __init__(self, width: int, forget: int) -> None:
        self._seen, self._forget = 0, forget
        self._mean = torch.zeros(width, dtype=torch.float64)
        self._last = torch.zeros_like(self._mean)
        self._spread = torch.zeros(width, width, dtype=torch.float64)
        self._change = torch.zeros_like(self._spread)

    def see(self, row: Float[Tensor, " F"]) -> None:
        """Take the next row into the statistics."""
        now, self._seen = row.double(), self._seen + 1
        share = max(1 / self._seen, 1 / self._forget)
        from_mean, change = now - self._mean, now - self._last
        self._mean = self._mean + share * from_mean
        self._spread = (1 - share) * (self._spread + share * from_mean.outer(from_mean))
        if self._seen > 1:
            self._change = self._change + share * (change.outer(change) - self._change)
        self._last = now

    def solve(self, count: int) -> Float[Tensor, "F count"]:
        """Return the slowest directions; fewer where the series varies in fewer."""
        variance, directions = torch.linalg.eigh(self._spread)
        # What hardly varies has no slowness that could be told from rounding.
        kept = variance > 1e-6 * variance[-1]
        white = directions[:, kept] / variance[kept].sqrt()
        _, slowest = torch.linalg.eigh(white.T @ self._change @ white)
        found: Tensor = (white @ slowest[:, :count]).float()
        return found

    def state(self) -> dict[str, Any]:
        """Return the statistics."""
        series = {"mean": self._mean, "last": self._last}
        return {"seen": self._seen, **series, "spread": self._spread, "change": self._change}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` returned."""
        self._seen, self._mean, self._last = state["seen"], state["mean"], state["last"]
        self._spread, self._change = state["spread"], state["change"]


class Reservoir:
    """A memory in which, at any time, every row so far had the same chance to be.

    Args:
        capacity: rows remembered.
        width: numbers in a row.
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
        self._seen += 1
        place = self._seen - 1
        if self._seen > len(self._rows):
            place = int(torch.randint(self._seen, (), generator=self._generator))
        if place >= len(self._rows):
            return None
        self._rows[place] = row
        return place

    def state(self) -> dict[str, Any]:
        """Return the memory."""
        rows = self.rows.clone()
        return {"rows": rows, "seen": self._seen, "generator": self._generator.get_state()}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` returned."""
        self._seen = state["seen"]
        self._rows[: len(state["rows"])] = state["rows"]
        self._generator.set_state(state["generator"])


class SlowNovelty(Curiosity):
    """The mean squared distance to the nearest remembered moments, in slow features of latents.

    That slow features tell places: Franzius, Sprekeler & Wiskott 2007 (PLoS Computational Biology
    3(8)); rewarding distances to nearest neighbours: Seo et al. 2021, RE3 (arXiv:2102.09430). What
    changes from tick to tick, as pictures that flicker do, is not slow, and hardly counts. The
    series is a random projection of the latents and its running mean, so that slow features may
    know some of the past. It predicts nothing; until `solve_every` transitions were made it is 0.

    Args:
        features: slow features.
        projections: random projections of a latent.
        smoothed: time constant of their running mean, in transitions.
        neighbours: remembered moments whose distance counts.
        memory: moments remembered.
        gap: newest moments that are no neighbours: one is always near to where one just was.
        solve_every: transitions between two solutions for the slow features.
        forget: transitions after which their statistics have forgotten.
        seed: of the projection and of what is forgotten.

    Raises:
        ValueError: a number below 1, or more neighbours than memory.
    """

    def __init__(
        self,
        features: int = 8,
        projections: int = 96,
        smoothed: int = 10,
        neighbours: int = 5,
        memory: int = 2048,
        gap: int = 50,
        solve_every: int = 256,
        forget: int = 5000,
        seed: int = 0,
    ) -> None:
        numbers = (features, projections, smoothed, neighbours, gap, solve_every, forget)
        if min(numbers) < 1:
            raise ValueError(f"all numbers must be at least 1, one is {min(numbers)}")
        if neighbours > memory:
            raise ValueError(f"neighbours {neighbours} must be at most memory {memory}")
        width = 2 * projections
        self._features, self._projections, self._smoothed = features, projections, smoothed
        self._neighbours, self._gap, self._solve_every = neighbours, gap, solve_every
        self._seed, self._steps = seed, 0
        self._projection: Tensor | None = None
        self._calm = torch.zeros(projections)
        self._newest = torch.zeros(0, width)
        self._analysis = SlowFeatures(width, forget)
        self._reservoir = Reservoir(memory, width, seed)
        self._view: Tensor | None = None
        self._known = torch.zeros(memory, features)
        numbers_kept = width * (memory + gap + features + 4 * width) + memory * features
        self.state_bytes = 4 * numbers_kept + (64 << 10)

    def reward(self, evidence: Evidence) -> float:
        """Return how far what is seen now is from what is remembered, and remember it."""
        row = self._row(evidence.latent)
        self._analysis.see(row)
        self._steps += 1
        if self._steps % self._solve_every == 0:
            self._view = self._analysis.solve(self._features)
            # What is remembered is looked at as the present is.
            rows = self._reservoir.rows
            self._known[: len(rows), : self._view.shape[1]] = rows @ self._view
        distance = self._distance(row)
        self._newest = torch.cat([self._newest, row[None]])
        if len(self._newest) > self._gap:
            oldest, self._newest = self._newest[0], self._newest[1:]
            place = self._reservoir.add(oldest)
            if place is not None and self._view is not None:
                self._known[place, : self._view.shape[1]] = oldest @ self._view
        return distance

    def _row(self, latent: Float[Tensor, "P D"]) -> Float[Tensor, " F"]:
        """Return the projections of a latent, and their running mean."""
        flat = latent.flatten().float().cpu()
        if self._projection is None:
            chance = torch.Generator().manual_seed(self._seed)
            drawn = torch.randn(len(flat), self._projections, generator=chance)
            self._projection = drawn / math.sqrt(self._projections)
        now = flat @ self._projection
        # The first moments are weighed alike, so that the mean does not begin at 0.
        self._calm = self._calm + (now - self._calm) / min(self._steps + 1, self._smoothed)
        return torch.cat([now, self._calm])

    def _distance(self, row: Float[Tensor, " F"]) -> float:
        count = len(self._reservoir.rows)
        if self._view is None or count < self._neighbours:
            return 0.0
        known = self._known[:count, : self._view.shape[1]]
        square = (known - row @ self._view).square().sum(dim=1)
        return float(square.topk(self._neighbours, largest=False).values.mean())

    def state(self) -> dict[str, Any]:
        """Return the statistics, the memory and the present view of it."""
        return {
            "steps": self._steps,
            "calm": self._calm.clone(),
            "newest": self._newest.clone(),
            "view": None if self._view is None else self._view.clone(),
            "analysis": self._analysis.state(),
            "reservoir": self._reservoir.state(),
            "known": self._known.clone(),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` returned."""
        self._steps, self._view = state["steps"], state["view"]
        self._calm, self._newest = state["calm"], state["newest"]
        self._analysis.load_state(state["analysis"])
        self._reservoir.load_state(state["reservoir"])
        self._known = state["known"]
