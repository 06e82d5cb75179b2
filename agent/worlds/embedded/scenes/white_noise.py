"""White noise over the frames, as on an untuned television."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from agent.worlds.embedded.scenes.base import Scene
from agent.worlds.embedded.scenes.image_noise import ImageNoise, check_share
from agent.worlds.embedded.scenes.state import Frame, SceneEffect, SceneState

_STREAM = 102


class WhiteNoise(ImageNoise):
    """A scene with uniform noise over its frames, new in every step.

    Args:
        scene: the scene below; default: the street.
        strength: weight of the noise in a noisy pixel, 0 to 1.
        density: share of the pixels that are noisy, 0 to 1.
        coloured: whether red, green and blue are drawn independently.
        zone: x0, y0, x1, y1 of the region with noise, metres; null: everywhere.

    Raises:
        ValueError: a share out of range.
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
        self.strength = check_share("strength", strength)
        self.density = check_share("density", density)
        self.coloured = coloured

    def noise(self) -> SceneEffect:
        """Return the white noise."""
        return WhiteNoiseEffect(self)


class WhiteNoiseEffect(SceneEffect):
    """Blends uniform noise into each pixel; noisy pixels count as flickering."""

    def __init__(self, scene: WhiteNoise) -> None:
        self._scene = scene

    def post_process(self, frame: Frame, scene_state: SceneState) -> float:
        """Blend in the noise of this step."""
        scene = self._scene
        if scene.strength * scene.density == 0.0 or not scene.zone.contains(scene_state.body):
            return 0.0
        rng = scene_state.random(_STREAM, scene_state.step)
        _, height, width = frame.shape
        shape = (3 if scene.coloured else 1, height, width)
        noise = rng.integers(0, 256, shape, np.uint8).astype(np.float32)
        mixed = frame + (noise - frame) * np.float32(scene.strength)
        if scene.density == 1.0:
            frame[:] = mixed
            return 1.0
        noisy = rng.random((height, width), np.float32) < scene.density
        frame[:] = np.where(noisy, mixed, frame)
        return float(noisy.mean())
