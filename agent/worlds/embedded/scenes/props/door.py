"""Doors and shutters that open and close at given times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from agent.worlds.embedded.fixed_timestep import TIMESTEP
from agent.worlds.embedded.physics import is_clear
from agent.worlds.embedded.scenes.state import FAR_AWAY, SceneEffect, SceneState, pose


class Door(SceneEffect):
    """A sliding leaf that stops the body unless it is fully open.

    It waits while the body stands in the doorway.

    Args:
        part: the leaf, built in the frame of the doorway.
        solid: number of the solid that fills the doorway.
        frame: x, y, z and turn of the doorway.
        slide: displacement of the open leaf in the frame of the doorway, metres.
        is_open: at the start.
        toggles_at_s: seconds from the start at which it opens or closes.
        takes_s: duration of a movement, seconds.

    Raises:
        ValueError: times that do not increase.
    """

    def __init__(
        self,
        part: int,
        solid: int,
        frame: tuple[float, float, float, float],
        slide: tuple[float, float, float],
        is_open: bool,
        toggles_at_s: Sequence[float],
        takes_s: float = 1.0,
    ) -> None:
        if any(b <= a for a, b in pairwise(toggles_at_s)):
            raise ValueError(f"the times at which a door moves must increase, got {toggles_at_s}")
        self._part, self._solid = part, solid
        x, y, z, turn = frame
        self._closed_pose = pose(x, y, z, turn)
        self._slide = np.array(slide, np.float32)
        self._toggles = [round(time / TIMESTEP) for time in toggles_at_s]
        self._initially_open = is_open
        self._pace = TIMESTEP / takes_s
        self.openness = float(is_open)
        """0: closed, 1: open."""
        self._box = np.empty((1, 4))

    def wanted_open(self, step: int) -> bool:
        """Return whether it is scheduled to be open at a step."""
        return self._initially_open ^ (sum(toggle <= step for toggle in self._toggles) % 2 == 1)

    def reset(self, scene_state: SceneState) -> None:
        """Keep the collider of the closed leaf, and remove it if the door starts open."""
        self._box = scene_state.solids[self._solid : self._solid + 1].copy()
        self._update_solid(scene_state)

    def _update_solid(self, scene_state: SceneState) -> None:
        scene_state.solids[self._solid] = FAR_AWAY if self.openness == 1.0 else self._box[0]

    def step(self, scene_state: SceneState) -> None:
        """Move the leaf towards its scheduled position."""
        if self.wanted_open(scene_state.step):
            self.openness = min(1.0, self.openness + self._pace)
        elif self._may_close(scene_state):
            self.openness = max(0.0, self.openness - self._pace)
        self._update_solid(scene_state)

    def _may_close(self, scene_state: SceneState) -> bool:
        if self.openness < 1.0:
            return True
        return bool(is_clear(scene_state.body.x, scene_state.body.y, self._box, scene_state.bounds))

    def state_dict(self) -> dict[str, float]:
        """Return the openness."""
        return {"openness": self.openness}

    def load_state_dict(self, state: Mapping[str, float], scene_state: SceneState) -> None:
        """Set the openness."""
        self.openness = state["openness"]
        self._update_solid(scene_state)

    def animate(self, scene_state: SceneState) -> None:
        """Set the pose of the leaf."""
        leaf = self._closed_pose.copy()
        leaf[:, 3] += leaf[:, :3] @ (self._slide * self.openness)
        scene_state.poses[self._part] = leaf
