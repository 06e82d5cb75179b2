"""Flicker: the picture is replaced by stills of other parts of the world."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from agent.worlds.embedded.reachability import ReachabilityMap
from agent.worlds.embedded.scenes.base import Scene
from agent.worlds.embedded.scenes.image_noise import ImageNoise, Zone, share
from agent.worlds.embedded.scenes.state import Frame, Look, SceneEffect, SceneState
from agent.worlds.embedded.scenes.texture_schedule import PictureClock

_STREAM = 103
_COARSE = 0.5
"""Metres between the spots from which stills are taken."""


class Flicker(ImageNoise):
    """A place whose picture jumps between stills taken elsewhere in it.

    Args:
        place: the world behind it; the street if left out.
        images_per_second: how often the still changes, 0 to 30.
        stills: how many there are.
        density: share of the time in which a still is seen instead of the truth, 0 to 1.
        zone: x0, y0, x1, y1 of the region where it happens, metres; null: everywhere.

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
        PictureClock(0, images_per_second, 0)
        if stills < 1:
            raise ValueError(f"stills must be at least 1, got {stills}")
        self.images_per_second = images_per_second
        self.stills = stills
        self.density = share("density", density)

    def veil(self) -> SceneEffect:
        """Return the stills."""
        return Stills(self.images_per_second, self.stills, self.density, self.zone)


class Stills(SceneEffect):
    """Takes stills at the start and shows them at random; a still counts as flickering.

    Args:
        images_per_second: how often the choice is made anew.
        count: stills taken.
        density: share of the choices that fall on a still.
        zone: where they are seen.
    """

    def __init__(self, images_per_second: float, count: int, density: float, zone: Zone) -> None:
        self._rate, self._count, self._density = images_per_second, count, density
        self._zone = zone
        self._stills: list[Frame] = []
        self._clock = PictureClock(1, images_per_second, 0)

    def prepare(self, scene_state: SceneState, look: Look) -> None:
        """Take the stills from places that can be reached."""
        self._clock = PictureClock(1, self._rate, scene_state.seed)
        rng = np.random.default_rng(scene_state.seed)
        scenes = ReachabilityMap(scene_state, _COARSE).scenes()
        for number in rng.integers(0, len(scenes), self._count).tolist():
            x, y = scenes[number]
            self._stills.append(look(x, y, rng.uniform(-math.pi, math.pi)))

    def cover(self, picture: Frame, scene_state: SceneState) -> float:
        """Show the still whose turn it is, if it is one's turn."""
        if not self._zone.holds(scene_state.body):
            return 0.0
        draw = int(self._clock.draws(scene_state.step)[0])
        # The high half decides whether, the low half which.
        if (draw >> 32) / 2**32 >= self._density:
            return 0.0
        picture[:] = self._stills[(draw & 0xFFFFFFFF) % self._count]
        return 1.0
