"""White noise: the picture of an untuned television over the world."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from agent.worlds.embedded.scenes.base import Scene
from agent.worlds.embedded.scenes.image_noise import ImageNoise, Zone, share
from agent.worlds.embedded.scenes.state import Frame, SceneEffect, SceneState

_STREAM = 102


class WhiteNoise(ImageNoise):
    """A place with noise over its picture, new in every step.

    Args:
        place: the world behind it; the street if left out.
        strength: how far a noisy pixel is replaced, 0 (not at all) to 1 (wholly).
        density: share of the pixels that are noisy, 0 to 1.
        coloured: whether red, green and blue are drawn apart.
        zone: x0, y0, x1, y1 of the region where it happens, metres; null: everywhere.

    Raises:
        ValueError: a share that is none.
    """

    def __init__(
        self,
        scene: Scene | None = None,
        strength: float = 0.5,
        density: float = 1.0,
        coloured: bool = True,
        zone: Sequence[float] | None = None,
    ) -> None:
        super().__init__(scene, zone)
        self.strength = share("strength", strength)
        self.density = share("density", density)
        self.coloured = coloured

    def veil(self) -> SceneEffect:
        """Return the noise."""
        return Noise(self.strength, self.density, self.coloured, self.zone)


class Noise(SceneEffect):
    """Mixes uniform noise into each pixel; noisy pixels count as flickering.

    Args:
        strength: share of the noise in a noisy pixel.
        density: share of the pixels that are noisy.
        coloured: whether the channels are drawn apart.
        zone: where it is seen.
    """

    def __init__(self, strength: float, density: float, coloured: bool, zone: Zone) -> None:
        self._strength, self._density, self._coloured = strength, density, coloured
        self._zone = zone

    def cover(self, picture: Frame, scene_state: SceneState) -> float:
        """Draw this step's noise."""
        if self._strength * self._density == 0.0 or not self._zone.holds(scene_state.body):
            return 0.0
        rng = scene_state.random(_STREAM, scene_state.step)
        _, height, width = picture.shape
        shape = (3 if self._coloured else 1, height, width)
        noise = rng.integers(0, 256, shape, np.uint8).astype(np.float32)
        mixed = picture + (noise - picture) * np.float32(self._strength)
        if self._density == 1.0:
            picture[:] = mixed
            return 1.0
        noisy = rng.random((height, width), np.float32) < self._density
        picture[:] = np.where(noisy, mixed, picture)
        return float(noisy.mean())
