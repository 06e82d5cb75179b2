"""Blackouts: now and then everything is dark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from agent.worlds.embedded.physics import STEP
from agent.worlds.embedded.scenes.base import Place
from agent.worlds.embedded.scenes.image_noise import Veiled, Zone
from agent.worlds.embedded.scenes.state import Happening, Picture, Stage

_STREAM = 101


class Blackout(Veiled):
    """A place whose picture goes black at random moments.

    Args:
        place: the world behind it; the street if left out.
        blackouts_per_minute: how many begin in a minute, on average.
        seconds: how long each lasts.
        zone: x0, y0, x1, y1 of the region where it happens, metres; null: everywhere.

    Raises:
        ValueError: more darkness than time.
    """

    def __init__(
        self,
        place: Place | None = None,
        blackouts_per_minute: float = 6.0,
        seconds: float = 2.0,
        zone: Sequence[float] | None = None,
    ) -> None:
        super().__init__(place, zone)
        if blackouts_per_minute < 0.0 or seconds <= 0.0:
            raise ValueError("blackouts_per_minute must not be negative, and seconds positive")
        self.blackouts_per_minute = blackouts_per_minute
        self.seconds = seconds

    def veil(self) -> Happening:
        """Return the darkness."""
        chance = self.blackouts_per_minute / 60.0 * STEP
        return Darkness(chance, max(1, round(self.seconds / STEP)), self.zone)


class Darkness(Happening):
    """Falls at random and lasts a fixed time; dark pixels count as flickering.

    Args:
        chance: that one begins in a step.
        steps: that it lasts.
        zone: where it is seen.
    """

    def __init__(self, chance: float, steps: int, zone: Zone) -> None:
        self._chance, self._steps, self._zone = chance, steps, zone
        self._until = 0

    def advance(self, stage: Stage) -> None:
        """Let one begin by chance."""
        if stage.random(_STREAM, stage.step).random() < self._chance:
            self._until = stage.step + self._steps

    def state(self) -> dict[str, float]:
        """Return the step at which it ends."""
        return {"until": self._until}

    def restore(self, state: Mapping[str, float], stage: Stage) -> None:
        """Last until then."""
        self._until = int(state["until"])

    def cover(self, picture: Picture, stage: Stage) -> float:
        """Paint everything black while it lasts."""
        if stage.step >= self._until or not self._zone.holds(stage.body):
            return 0.0
        picture[:] = 0
        return 1.0
