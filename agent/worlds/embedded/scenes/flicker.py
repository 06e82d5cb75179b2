"""Flicker: the picture is replaced by stills of other parts of the world."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from agent.worlds.embedded.reachability import FloorPlan
from agent.worlds.embedded.scenes.base import Place
from agent.worlds.embedded.scenes.image_noise import Veiled, Zone, share
from agent.worlds.embedded.scenes.state import Happening, Look, Picture, Stage
from agent.worlds.embedded.scenes.texture_schedule import PictureClock

_STREAM = 103
_COARSE = 0.5
"""Metres between the spots from which stills are taken."""


class Flicker(Veiled):
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
        place: Place | None = None,
        images_per_second: float = 10.0,
        stills: int = 32,
        density: float = 0.5,
        zone: Sequence[float] | None = None,
    ) -> None:
        super().__init__(place, zone)
        PictureClock(0, images_per_second, 0)
        if stills < 1:
            raise ValueError(f"stills must be at least 1, got {stills}")
        self.images_per_second = images_per_second
        self.stills = stills
        self.density = share("density", density)

    def veil(self) -> Happening:
        """Return the stills."""
        return Stills(self.images_per_second, self.stills, self.density, self.zone)


class Stills(Happening):
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
        self._stills: list[Picture] = []
        self._clock = PictureClock(1, images_per_second, 0)

    def prepare(self, stage: Stage, look: Look) -> None:
        """Take the stills from places that can be reached."""
        self._clock = PictureClock(1, self._rate, stage.seed)
        chance = np.random.default_rng(stage.seed)
        places = FloorPlan(stage, _COARSE).places()
        for number in chance.integers(0, len(places), self._count).tolist():
            x, y = places[number]
            self._stills.append(look(x, y, chance.uniform(-math.pi, math.pi)))

    def cover(self, picture: Picture, stage: Stage) -> float:
        """Show the still whose turn it is, if it is one's turn."""
        if not self._zone.holds(stage.body):
            return 0.0
        draw = int(self._clock.draws(stage.step)[0])
        # The high half decides whether, the low half which.
        if (draw >> 32) / 2**32 >= self._density:
            return 0.0
        picture[:] = self._stills[(draw & 0xFFFFFFFF) % self._count]
        return 1.0
