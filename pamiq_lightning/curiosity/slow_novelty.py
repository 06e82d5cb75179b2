"""Slow novelty: distances to remembered observations, in slow features of the latents."""

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
"""Rows of the series for each number in a row, before its slow features mean anything."""


class SlowNovelty(Curiosity):
    """The mean squared distance to the nearest remembered observations, in slow features.

    Slow features of images encode where one is: Franzius, Sprekeler & Wiskott 2007 (PLoS
    Computational Biology 3(8)). Distances to nearest neighbours as a reward: Seo et al. 2021, RE3
    (arXiv:2102.09430). What changes from tick to tick, like a flickering screen, is not slow and
    does not count.

    The series is a random projection of the latents and its running mean, so slow features can
    depend on the recent past. The reward is 0 until there are slow features and enough remembered
    observations. Latents are remembered as they were: after a change of the encoder they look
    further away than they are.

    Args:
        features: slow features at most.
        projections: random projections of a latent.
        smoothed: time constant of their running mean, in transitions.
        neighbours: number of nearest observations whose distance counts.
        memory: observations remembered.
        gap: newest observations that are no neighbours, because the latest are always near.
        solve_every: transitions between two solutions for the slow features.
        forget: transitions after which the weight of one in the statistics has fallen to 1/e.
        seed: of the projection and of the reservoir.

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
        self._settings = {
            "features": features,
            "projections": projections,
            "smoothed": smoothed,
            "neighbours": neighbours,
            "memory": memory,
            "gap": gap,
            "solve_every": solve_every,
            "forget": forget,
        }
        for name, number in self._settings.items():
            if number < 1:
                raise ValueError(f"{name} must be at least 1, got {number}")
        if neighbours > memory:
            raise ValueError(f"neighbours {neighbours} must be at most memory {memory}")
        self._settings["seed"] = seed
        width = 2 * projections
        self._features, self._projections, self._smoothed = features, projections, smoothed
        self._neighbours, self._gap, self._solve_every = neighbours, gap, solve_every
        self._seed = seed
        self._projection: Tensor | None = None
        self._ema = torch.zeros(projections)
        self._newest = torch.zeros(0, width)
        self._analysis = SlowFeatures(width, forget)
        self._reservoir = Reservoir(memory, width, seed)
        self._directions = torch.zeros(width, 0)
        self._remembered = torch.zeros(memory, features)
        floats = width * (memory + gap + features + 1) + memory * features
        doubles = 2 * width * (width + 1)
        self.state_bytes = 4 * floats + 8 * doubles + (64 << 10)

    def reward(self, inputs: RewardInputs) -> float:
        """Return the distance of the latent to the remembered ones, and remember it."""
        row = self._row(inputs.latent)
        self._analysis.update(row)
        count = self._analysis.rows
        if count % self._solve_every == 0 and count >= ROWS_PER_NUMBER * len(row):
            # The running mean of noise changes by 1 / smoothed of its variance: faster than this.
            self._directions = self._analysis.solve(self._features, fastest=0.5 / self._smoothed)
            rows = self._reservoir.rows
            self._remembered[: len(rows), : self._directions.shape[1]] = rows @ self._directions
        distance = self._distance(row)
        self._newest = torch.cat([self._newest, row[None]])
        if len(self._newest) > self._gap:
            oldest, self._newest = self._newest[0], self._newest[1:]
            index = self._reservoir.add(oldest)
            if index is not None:
                self._remembered[index, : self._directions.shape[1]] = oldest @ self._directions
        return distance

    def _row(self, latent: Float[Tensor, "P D"]) -> Float[Tensor, " F"]:
        """Return the projections of a latent, and their running mean."""
        flat = latent.flatten().float().cpu()
        if self._projection is None:
            rng = torch.Generator().manual_seed(self._seed)
            drawn = torch.randn(len(flat), self._projections, generator=rng)
            self._projection = drawn / math.sqrt(self._projections)
        now = flat @ self._projection
        # The first rows have equal weights, so the mean does not begin at 0.
        self._ema = self._ema + (now - self._ema) / min(self._analysis.rows + 1, self._smoothed)
        return torch.cat([now, self._ema])

    def _distance(self, row: Float[Tensor, " F"]) -> float:
        count, features = len(self._reservoir.rows), self._directions.shape[1]
        if not features or count < self._neighbours:
            return 0.0
        remembered = self._remembered[:count, :features]
        square = (remembered - row @ self._directions).square().sum(dim=1)
        return float(square.topk(self._neighbours, largest=False).values.mean())

    def state_dict(self) -> dict[str, Any]:
        """Return the statistics, the remembered rows and their slow features."""
        return {
            "settings": dict(self._settings),
            "ema": self._ema.clone(),
            "newest": self._newest.clone(),
            "directions": self._directions.clone(),
            "remembered": self._remembered.clone(),
            "analysis": self._analysis.state_dict(),
            "reservoir": self._reservoir.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the state that `state_dict` returned.

        Raises:
            KeyError: it is the state of another reward.
            ValueError: it was made with other settings.
        """
        if state["settings"] != self._settings:
            raise ValueError(
                f"the state of SlowNovelty was made with {state['settings']}, not with "
                f"{self._settings}"
            )
        self._ema, self._newest = state["ema"].clone(), state["newest"].clone()
        self._directions = state["directions"].clone()
        self._remembered = state["remembered"].clone()
        self._analysis.load_state_dict(state["analysis"])
        self._reservoir.load_state_dict(state["reservoir"])
