"""A cyclist who rides a loop along the main street."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from agent.worlds.embedded.fixed_timestep import TIMESTEP
from agent.worlds.embedded.physics import is_clear
from agent.worlds.embedded.render.mesh import Mesh
from agent.worlds.embedded.scenes.state import SceneEffect, SceneState, pose

_LANE = 1.5
"""Metres from the middle of the street; traffic keeps to the left."""
_HALF = 0.45
"""Half the side of its square collider, metres."""


def build_cyclist(mesh: Mesh) -> int:
    """Build bicycle and rider, riding towards +y; return the part."""
    with mesh.part() as part:
        for y in (-0.55, 0.55):
            mesh.quad(
                ((0.0, y + 0.34, 0.0), (0.0, y - 0.34, 0.0), (0.0, y - 0.34, 0.68),
                 (0.0, y + 0.34, 0.68)),
                "wheel", 1.0, two_sided=True,
            )  # fmt: skip
        mesh.box((0.0, 0.0, 0.5), (0.05, 0.95, 0.06), "blue")
        mesh.box((0.0, 0.45, 0.75), (0.05, 0.06, 0.6), "blue")
        mesh.box((0.0, -0.25, 0.68), (0.05, 0.05, 0.4), "metal")
        mesh.box((0.0, 0.42, 1.04), (0.56, 0.05, 0.05), "metal")
        mesh.box((0.0, 0.62, 0.86), (0.36, 0.3, 0.24), "boards")
        mesh.box((0.0, -0.25, 0.9), (0.2, 0.28, 0.08), "black")
        for x in (-0.11, 0.11):
            mesh.box((x, -0.08, 0.72), (0.12, 0.42, 0.14), "dark")
            mesh.box((x, 0.08, 0.46), (0.11, 0.14, 0.5), "dark")
            mesh.box((x * 2.2, 0.16, 1.2), (0.09, 0.52, 0.1), "red")
        mesh.box((0.0, -0.12, 1.2), (0.36, 0.26, 0.56), "red")
        mesh.cylinder(0.0, -0.06, 1.48, 1.74, 0.11, 7, "skin")
        mesh.cylinder(0.0, -0.06, 1.68, 1.8, 0.13, 7, "cream", top_radius=0.06)
    return part


class Cyclist(SceneEffect):
    """Rides a loop at constant speed and waits while the body is in the way.

    Args:
        part: of the mesh.
        solid: number of its collider.
        south: y of the southern turn, metres.
        north: y of the northern turn, metres.
        speed: m/s.
    """

    def __init__(self, part: int, solid: int, south: float, north: float, speed: float) -> None:
        self._part, self._solid = part, solid
        self._south, self._north = south, north
        self._pace = speed * TIMESTEP
        self._length = 2.0 * (north - south) + math.tau * _LANE
        self.travelled = 0.0
        """Metres along the loop."""

    def position(self, travelled: float) -> tuple[float, float, float]:
        """Return x, y and heading after a distance in metres."""
        straight, bend = self._north - self._south, math.pi * _LANE
        travelled %= self._length
        if travelled < straight:
            return -_LANE, self._south + travelled, 0.0
        travelled -= straight
        if travelled < bend:
            angle = travelled / _LANE
            return -_LANE * math.cos(angle), self._north + _LANE * math.sin(angle), angle
        travelled -= bend
        if travelled < straight:
            return _LANE, self._north - travelled, math.pi
        angle = (travelled - straight) / _LANE
        return _LANE * math.cos(angle), self._south - _LANE * math.sin(angle), math.pi + angle

    def reset(self, scene_state: SceneState) -> None:
        """Start at the southern turn."""
        scene_state.solids[self._solid] = self._box(0.0)

    def _box(self, travelled: float) -> NDArray[np.float64]:
        x, y, _ = self.position(travelled)
        return np.array([x - _HALF, y - _HALF, x + _HALF, y + _HALF])

    def step(self, scene_state: SceneState) -> None:
        """Ride on unless the body is in the way."""
        box = self._box(self.travelled + self._pace)
        if is_clear(scene_state.body.x, scene_state.body.y, box[None], scene_state.bounds):
            self.travelled = (self.travelled + self._pace) % self._length
            scene_state.solids[self._solid] = box

    def state_dict(self) -> dict[str, float]:
        """Return the distance along the loop."""
        return {"travelled": self.travelled}

    def load_state_dict(self, state: Mapping[str, float], scene_state: SceneState) -> None:
        """Set the distance along the loop."""
        self.travelled = state["travelled"]
        scene_state.solids[self._solid] = self._box(self.travelled)

    def animate(self, scene_state: SceneState) -> None:
        """Set the pose of the rider."""
        x, y, heading = self.position(self.travelled)
        scene_state.poses[self._part] = pose(x, y, 0.0, -heading)
