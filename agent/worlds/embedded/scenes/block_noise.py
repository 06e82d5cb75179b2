"""Block noise: squares of random colour over the picture, as from a bad connection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.worlds.embedded.scenes.base import Scene
from agent.worlds.embedded.scenes.image_noise import ImageNoise, Zone, share
from agent.worlds.embedded.scenes.state import Frame, SceneEffect, SceneState
from agent.worlds.embedded.scenes.texture_schedule import PictureClock

_STREAM = 104


class BlockNoise(ImageNoise):
    """A place with random blocks over its picture.

    Args:
        place: the world behind it; the street if left out.
        blocks: how many lie along the picture's shorter side.
        density: share of the blocks that are noisy, 0 to 1.
        images_per_second: how often the blocks change, 0 to 30.
        zone: x0, y0, x1, y1 of the region where it happens, metres; null: everywhere.

    Raises:
        ValueError: a value out of range.
    """

    def __init__(
        self,
        scene: Scene | None = None,
        blocks: int = 9,
        density: float = 0.3,
        images_per_second: float = 10.0,
        zone: Sequence[float] | None = None,
    ) -> None:
        super().__init__(scene, zone)
        PictureClock(0, images_per_second, 0)
        if blocks < 1:
            raise ValueError(f"blocks must be at least 1, got {blocks}")
        self.blocks = blocks
        self.density = share("density", density)
        self.images_per_second = images_per_second

    def veil(self) -> SceneEffect:
        """Return the blocks."""
        return Blocks(self.blocks, self.density, self.images_per_second, self.zone)


class Blocks(SceneEffect):
    """Covers a random choice of squares with random colours; they count as flickering.

    Args:
        count: squares along the shorter side.
        density: share of the squares that are covered.
        images_per_second: how often the choice is made anew.
        zone: where they are seen.
    """

    def __init__(self, count: int, density: float, images_per_second: float, zone: Zone) -> None:
        self._count, self._density, self._zone = count, density, zone
        self._clock = PictureClock(1, images_per_second, 0)

    def cover(self, picture: Frame, scene_state: SceneState) -> float:
        """Draw the blocks of this moment."""
        if not self._zone.holds(scene_state.body):
            return 0.0
        rng = scene_state.random(_STREAM, int(self._clock.changes(scene_state.step)[0]))
        _, height, width = picture.shape
        side = max(1, min(height, width) // self._count)
        rows, columns = -(-height // side), -(-width // side)
        noisy = rng.random((rows, columns)) < self._density
        colours = rng.integers(0, 256, (3, rows, columns), np.uint8)
        covered = _enlarge(noisy, side)[:height, :width]
        np.copyto(picture, _enlarge(colours, side)[:, :height, :width], where=covered)
        return float(covered.mean())


def _enlarge(blocks: NDArray[Any], side: int) -> NDArray[Any]:
    """Repeat every element over a square of pixels."""
    return blocks.repeat(side, axis=-2).repeat(side, axis=-1)
