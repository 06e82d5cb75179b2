"""When panels change their texture, and to which one: a fixed rate and counter-based randomness."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agent.worlds.embedded.fixed_timestep import PHYSICS_HZ, TIMESTEP

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def splitmix64(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Map counters to pseudorandom numbers: the finaliser of splitmix64.

    Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014.
    """
    mixed = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def check_rate(images_per_second: float) -> float:
    """Return a rate of changes that the physics rate allows.

    Raises:
        ValueError: it is out of range.
    """
    if not 0.0 <= images_per_second <= PHYSICS_HZ:
        raise ValueError(f"images_per_second must be 0 to {PHYSICS_HZ}, got {images_per_second}")
    return images_per_second


class TextureSchedule:
    """Counts the changes of each panel, each on its own phase.

    Args:
        panels: number of panels (N).
        images_per_second: rate of each, 0 to 30.
        seed: of the phases and choices.

    Raises:
        ValueError: a rate out of range.
    """

    def __init__(self, panels: int, images_per_second: float, seed: int) -> None:
        self._per_step = check_rate(images_per_second) * TIMESTEP
        self._phases = np.random.default_rng(seed).random(panels)
        numbers = np.arange(panels, dtype=np.uint64) + np.uint64(1)
        self._keys = splitmix64(numbers * _GOLDEN + np.uint64(seed))

    @property
    def is_changing(self) -> bool:
        """Whether the rate is above 0."""
        return self._per_step > 0.0

    def changes(self, step: int) -> NDArray[np.int64]:
        """Return how often each panel has changed by a step, (N,)."""
        return np.floor(step * self._per_step + self._phases).astype(np.int64)

    def draws(self, step: int) -> NDArray[np.uint64]:
        """Return a random number for each panel (N,), new at each of its changes."""
        return splitmix64(self._keys + self.changes(step).astype(np.uint64) * _GOLDEN)

    def choices(self, step: int, count: int) -> NDArray[np.int32]:
        """Return the choice of one of `count` textures for each panel, (N,)."""
        return (self.draws(step) % np.uint64(count)).astype(np.int32)
