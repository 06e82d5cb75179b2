"""Blackouts: now and then everything is dark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from agent.worlds.embedded.fixed_timestep import TIMESTEP
from agent.worlds.embedded.scenes.base import Scene
from agent.worlds.embedded.scenes.image_noise import ImageNoise, Zone
from agent.worlds.embedded.scenes.state import Frame, SceneEffect, SceneState

_STREAM = 101


class Blackout(ImageNoise):
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
        scene: Scene | None = None,
        blackouts_per_minute: float = 6.0,
        seconds: float = 2.0,
        zone: Sequence[float] | None = None,
    ) -> None:
        super().__init__(scene, zone)
        if blackouts_per_minute < 0.0 or seconds <= 0.0:
            raise ValueError("blackouts_per_minute must not be negative, and seconds positive")
        self.blackouts_per_minute = blackouts_per_minute
        self.seconds = seconds

    def veil(self) -> SceneEffect:
        """Return the darkness."""
        rng = self.blackouts_per_minute / 60.0 * TIMESTEP
        return Darkness(rng, max(1, round(self.seconds / TIMESTEP)), self.zone)


class Darkness(SceneEffect):
    """Falls at random and lasts a fixed time; dark pixels count as flickering.

    Args:
        chance: that one begins in a step.
        steps: that it lasts.
        zone: where it is seen.
    """

    def __init__(self, rng: float, steps: int, zone: Zone) -> None:
        self._rng, self._steps, self._zone = rng, steps, zone
        self._until = 0

    def advance(self, scene_state: SceneState) -> None:
        """Let one begin by chance."""
        if scene_state.random(_STREAM, scene_state.step).random() < self._rng:
            self._until = scene_state.step + self._steps

    def state_dict(self) -> dict[str, float]:
        """Return the step at which it ends."""
        return {"until": self._until}

    def load_state_dict(self, state: Mapping[str, float], scene_state: SceneState) -> None:
        """Last until then."""
        self._until = int(state["until"])

    def cover(self, picture: Frame, scene_state: SceneState) -> float:
        """Paint everything black while it lasts."""
        if scene_state.step >= self._until or not self._zone.holds(scene_state.body):
            return 0.0
        picture[:] = 0
        return 1.0
