"""Novelty of where one is, not of what flickers there: distances among slow features."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from pamiq_lightning.curiosity.base import Curiosity, RewardInputs
from pamiq_lightning.curiosity.slow_features import Reservoir, SlowFeatures

ROWS_PER_NUMBER = 4
"""Rows of a series, by the numbers in one, before its slow features are more than chance."""


class SlowNovelty(Curiosity):
    """The mean squared distance to the nearest remembered moments, in slow features of latents.

    That slow features tell places: Franzius, Sprekeler & Wiskott 2007 (PLoS Computational Biology
    3(8)); rewarding distances to nearest neighbours: Seo et al. 2021, RE3 (arXiv:2102.09430). What
    changes from tick to tick, as pictures that flicker do, is not slow and does not count. The
    series is a random projection of the latents and its running mean, so that slow features may
    know some of the past. It predicts nothing. Until it has seen enough to tell what is slow, and
    remembers enough, it is 0. Memories are as they were seen: where the encoder has changed since,
    they look further away than they are.

    Args:
        features: slow features at most.
        projections: random projections of a latent.
        smoothed: time constant of their running mean, in transitions.
        neighbours: remembered moments whose distance counts.
        memory: moments remembered.
        gap: newest moments that are no neighbours: one is always near to where one just was.
        solve_every: transitions between two solutions for the slow features.
        forget: transitions after which one's weight in their statistics has fallen to 1/e.
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
        self._made_with = {
            "features": features,
            "projections": projections,
            "smoothed": smoothed,
            "neighbours": neighbours,
            "memory": memory,
            "gap": gap,
            "solve_every": solve_every,
            "forget": forget,
        }
        for name, number in self._made_with.items():
            if number < 1:
                raise ValueError(f"{name} must be at least 1, got {number}")
        if neighbours > memory:
            raise ValueError(f"neighbours {neighbours} must be at most memory {memory}")
        self._made_with["seed"] = seed
        width = 2 * projections
        self._features, self._projections, self._smoothed = features, projections, smoothed
        self._neighbours, self._gap, self._solve_every = neighbours, gap, solve_every
        self._seed = seed
        self._projection: Tensor | None = None
        self._ema = torch.zeros(projections)
        self._newest = torch.zeros(0, width)
        self._analysis = SlowFeatures(width, forget)
        self._reservoir = Reservoir(memory, width, seed)
        self._view = torch.zeros(width, 0)
        self._known = torch.zeros(memory, features)
        floats = width * (memory + gap + features + 1) + memory * features
        doubles = 2 * width * (width + 1)
        self.state_bytes = 4 * floats + 8 * doubles + (64 << 10)

    def reward(self, inputs: RewardInputs) -> float:
        """Return how far what is seen now is from what is remembered, and remember it."""
        row = self._row(inputs.latent)
        self._analysis.see(row)
        seen = self._analysis.seen
        if seen % self._solve_every == 0 and seen >= ROWS_PER_NUMBER * len(row):
            # Of chance and its running mean the slowest changes by 1 / smoothed of its variance.
            self._view = self._analysis.solve(self._features, fastest=0.5 / self._smoothed)
            # What is remembered is looked at as the present is.
            rows = self._reservoir.rows
            self._known[: len(rows), : self._view.shape[1]] = rows @ self._view
        distance = self._distance(row)
        self._newest = torch.cat([self._newest, row[None]])
        if len(self._newest) > self._gap:
            oldest, self._newest = self._newest[0], self._newest[1:]
            place = self._reservoir.add(oldest)
            if place is not None:
                self._known[place, : self._view.shape[1]] = oldest @ self._view
        return distance

    def _row(self, latent: Float[Tensor, "P D"]) -> Float[Tensor, " F"]:
        """Return the projections of a latent, and their running mean."""
        flat = latent.flatten().float().cpu()
        if self._projection is None:
            rng = torch.Generator().manual_seed(self._seed)
            drawn = torch.randn(len(flat), self._projections, generator=rng)
            self._projection = drawn / math.sqrt(self._projections)
        now = flat @ self._projection
        # The first moments are weighed alike, so that the mean does not begin at 0.
        self._ema = self._ema + (now - self._ema) / min(self._analysis.seen + 1, self._smoothed)
        return torch.cat([now, self._ema])

    def _distance(self, row: Float[Tensor, " F"]) -> float:
        count, features = len(self._reservoir.rows), self._view.shape[1]
        if not features or count < self._neighbours:
            return 0.0
        square = (self._known[:count, :features] - row @ self._view).square().sum(dim=1)
        return float(square.topk(self._neighbours, largest=False).values.mean())

    def state_dict(self) -> dict[str, Any]:
        """Return the statistics, the memory and the present view of it."""
        return {
            "made_with": dict(self._made_with),
            "ema": self._ema.clone(),
            "newest": self._newest.clone(),
            "view": self._view.clone(),
            "analysis": self._analysis.state_dict(),
            "reservoir": self._reservoir.state_dict(),
            "known": self._known.clone(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` returned.

        Raises:
            KeyError: it is the state of another reward.
            ValueError: it was made with other settings.
        """
        if state["made_with"] != self._made_with:
            raise ValueError(
                f"what SlowNovelty remembers was made with {state['made_with']}, not with "
                f"{self._made_with}"
            )
        self._ema, self._newest = state["ema"].clone(), state["newest"].clone()
        self._view, self._known = state["view"].clone(), state["known"].clone()
        self._analysis.load_state_dict(state["analysis"])
        self._reservoir.load_state_dict(state["reservoir"])
