"""Flicker: frames are replaced by stills of other parts of the scene."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from agent.worlds.embedded.reachability import ReachabilityMap
from agent.worlds.embedded.scenes.base import Scene
from agent.worlds.embedded.scenes.image_noise import ImageNoise, check_share
from agent.worlds.embedded.scenes.state import Frame, RenderView, SceneEffect, SceneState
from agent.worlds.embedded.scenes.texture_schedule import TextureSchedule, check_rate

_SPACING = 0.5
"""Metres between the positions that stills are rendered from."""


class Flicker(ImageNoise):
    """A scene whose frames jump to stills of other parts of it.

    Args:
        scene: the scene below; default: the street.
        images_per_second: rate at which the still changes, 0 to 30.
        stills: number of stills.
        density: share of the time in which a still replaces the frame, 0 to 1.
        zone: x0, y0, x1, y1 of the region with flicker, metres; null: everywhere.

    Raises:
        ValueError: a value out of range.
    """

    def __init__(
        self,
        scene: Scene | None = None,
        images_per_second: float = 10.0,
        stills: int = 32,
        density: float = 0.5,
        zone: Sequence[float] | None = None,
    ) -> None:
        super().__init__(scene, zone)
        if stills < 1:
            raise ValueError(f"stills must be at least 1, got {stills}")
        self.images_per_second = check_rate(images_per_second)
        self.stills = stills
        self.density = check_share("density", density)

    def noise(self) -> SceneEffect:
        """Return the flicker."""
        return FlickerEffect(self)


class FlickerEffect(SceneEffect):
    """Renders stills at the start and shows them at random; a still counts as flickering."""

    def __init__(self, scene: Flicker) -> None:
        self._scene, self._stills = scene, list[Frame]()
        self._schedule = TextureSchedule(1, scene.images_per_second, 0)

    def prepare(self, scene_state: SceneState, render_view: RenderView) -> None:
        """Render the stills from random reachable positions."""
        self._schedule = TextureSchedule(1, self._scene.images_per_second, scene_state.seed)
        rng = np.random.default_rng(scene_state.seed)
        points = ReachabilityMap(scene_state, _SPACING).points()
        for number in rng.integers(0, len(points), self._scene.stills).tolist():
            x, y = points[number]
            self._stills.append(render_view(x, y, rng.uniform(-math.pi, math.pi)))

    def post_process(self, frame: Frame, scene_state: SceneState) -> float:
        """Replace the frame by the chosen still, if one is chosen."""
        if not self._scene.zone.contains(scene_state.body):
            return 0.0
        draw = int(self._schedule.draws(scene_state.step)[0])
        # The high half decides whether to show a still, the low half which.
        if (draw >> 32) / 2**32 >= self._scene.density:
            return 0.0
        frame[:] = self._stills[(draw & 0xFFFFFFFF) % len(self._stills)]
        return 1.0
