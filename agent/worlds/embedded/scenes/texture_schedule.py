"""Surfaces that change their picture at a steady rate: which picture each shows at which time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agent.worlds.embedded.fixed_timestep import PHYSICS_HZ, TIMESTEP

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def scramble(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Turn counters into numbers that look random: the finaliser of splitmix64.

    Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014.
    """
    mixed = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


class PictureClock:
    """Counts the changes of each surface, every one on its own phase.

    Args:
        surfaces: how many there are.
        images_per_second: rate of each, 0 to 30.
        seed: of the phases and choices.

    Raises:
        ValueError: a rate out of range.
    """

    def __init__(self, surfaces: int, images_per_second: float, seed: int) -> None:
        if not 0.0 <= images_per_second <= PHYSICS_HZ:
            raise ValueError(
                f"images_per_second must be 0 to {PHYSICS_HZ}, got {images_per_second}"
            )
        self._per_step = images_per_second * TIMESTEP
        self._phases = np.random.default_rng(seed).random(surfaces)
        numbers = np.arange(surfaces, dtype=np.uint64) + np.uint64(1)
        self._keys = scramble(numbers * _GOLDEN + np.uint64(seed))

    @property
    def runs(self) -> bool:
        """Whether anything ever changes."""
        return self._per_step > 0.0

    def changes(self, step: int) -> NDArray[np.int64]:
        """How often each surface has changed by a step (N,)."""
        return np.floor(step * self._per_step + self._phases).astype(np.int64)

    def draws(self, step: int) -> NDArray[np.uint64]:
        """Return a random number for each surface (N,), new with each of its changes."""
        return scramble(self._keys + self.changes(step).astype(np.uint64) * _GOLDEN)

    def choices(self, step: int, count: int) -> NDArray[np.int32]:
        """Choose one of `count` pictures for each surface (N,)."""
        return (self.draws(step) % np.uint64(count)).astype(np.int32)
