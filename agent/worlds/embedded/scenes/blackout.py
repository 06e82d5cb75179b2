"""Blackouts: black frames that start at random and last a fixed time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from agent.worlds.embedded.fixed_timestep import TIMESTEP
from agent.worlds.embedded.scenes.base import Scene
from agent.worlds.embedded.scenes.image_noise import ImageNoise
from agent.worlds.embedded.scenes.state import Frame, SceneEffect, SceneState

_STREAM = 101


class Blackout(ImageNoise):
    """A scene whose frames go black at random times.

    Args:
        scene: the scene below; default: the street.
        blackouts_per_minute: mean rate at which they start.
        seconds: duration of each.
        zone: x0, y0, x1, y1 of the region with blackouts, metres; null: everywhere.

    Raises:
        ValueError: a negative rate, or a duration that is not positive.
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

    def noise(self) -> SceneEffect:
        """Return the blackouts."""
        return BlackoutEffect(self)


class BlackoutEffect(SceneEffect):
    """Black frames; they count as flickering."""

    def __init__(self, scene: Blackout) -> None:
        self._probability = scene.blackouts_per_minute / 60.0 * TIMESTEP
        self._steps, self._zone = max(1, round(scene.seconds / TIMESTEP)), scene.zone
        self._until = 0

    def step(self, scene_state: SceneState) -> None:
        """Start a blackout with the given probability."""
        if scene_state.random(_STREAM, scene_state.step).random() < self._probability:
            self._until = scene_state.step + self._steps

    def state_dict(self) -> dict[str, float]:
        """Return the step at which the blackout ends."""
        return {"until": self._until}

    def load_state_dict(self, state: Mapping[str, float], scene_state: SceneState) -> None:
        """Continue a blackout."""
        self._until = int(state["until"])

    def post_process(self, frame: Frame, scene_state: SceneState) -> float:
        """Paint the frame black during a blackout."""
        if scene_state.step >= self._until or not self._zone.contains(scene_state.body):
            return 0.0
        frame[:] = 0
        return 1.0
