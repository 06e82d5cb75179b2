"""Block noise: squares of random colour over the frames, as from a bad connection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.worlds.embedded.scenes.base import Scene
from agent.worlds.embedded.scenes.image_noise import ImageNoise, check_share
from agent.worlds.embedded.scenes.state import Frame, SceneEffect, SceneState
from agent.worlds.embedded.scenes.texture_schedule import TextureSchedule, check_rate

_STREAM = 104


class BlockNoise(ImageNoise):
    """A scene with blocks of random colour over its frames.

    Args:
        scene: the scene below; default: the street.
        blocks: number of blocks along the frame's shorter side.
        density: share of the blocks that are noisy, 0 to 1.
        images_per_second: rate at which the blocks change, 0 to 30.
        zone: x0, y0, x1, y1 of the region with noise, metres; null: everywhere.

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
        if blocks < 1:
            raise ValueError(f"blocks must be at least 1, got {blocks}")
        self.blocks = blocks
        self.density = check_share("density", density)
        self.images_per_second = check_rate(images_per_second)

    def noise(self) -> SceneEffect:
        """Return the block noise."""
        return BlockNoiseEffect(self)


class BlockNoiseEffect(SceneEffect):
    """Covers random squares with random colours; they count as flickering."""

    def __init__(self, scene: BlockNoise) -> None:
        self._scene, self._schedule = scene, TextureSchedule(1, scene.images_per_second, 0)

    def post_process(self, frame: Frame, scene_state: SceneState) -> float:
        """Paint the blocks of this step."""
        if not self._scene.zone.contains(scene_state.body):
            return 0.0
        rng = scene_state.random(_STREAM, int(self._schedule.changes(scene_state.step)[0]))
        _, height, width = frame.shape
        side = max(1, min(height, width) // self._scene.blocks)
        rows, columns = -(-height // side), -(-width // side)
        noisy = rng.random((rows, columns)) < self._scene.density
        colours = rng.integers(0, 256, (3, rows, columns), np.uint8)
        covered = _upscale(noisy, side)[:height, :width]
        np.copyto(frame, _upscale(colours, side)[:, :height, :width], where=covered)
        return float(covered.mean())


def _upscale(blocks: NDArray[Any], side: int) -> NDArray[Any]:
    """Repeat every element over a square of pixels."""
    return blocks.repeat(side, axis=-2).repeat(side, axis=-1)
