"""Falling cherry petals."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import numpy as np

from agent.worlds.embedded.render.mesh import Mesh
from agent.worlds.embedded.scenes.state import SceneEffect, SceneState

_PER_CLUSTER = 8
_TOP, _BOTTOM = 3.2, -0.6
"""Metres; below the ground they are out of sight."""
_SPEED = 0.55
_SWAY = 0.35


def build_petals(mesh: Mesh, rng: random.Random) -> int:
    """Build one loose cluster of petals; return the part."""
    with mesh.part() as part:
        for _ in range(_PER_CLUSTER):
            x, y, z = (rng.uniform(-r, r) for r in (1.2, 1.2, 0.5))
            angle, size = rng.random() * math.tau, 0.035
            dx, dy = math.cos(angle) * size, math.sin(angle) * size
            tilt = rng.uniform(-size, size)
            mesh.quad(
                ((x - dx, y - dy, z), (x + dy, y - dx, z - tilt),
                 (x + dx, y + dy, z + tilt), (x - dy, y + dx, z + size)),
                "petal", 1.1, two_sided=True,
            )  # fmt: skip
    return part


class FallingPetals(SceneEffect):
    """Clusters that fall at constant speed, sway and turn, and start again at the top.

    Args:
        clusters: part, x and y of each.
    """

    def __init__(self, clusters: Sequence[tuple[int, float, float]]) -> None:
        self._parts = [part for part, _, _ in clusters]
        self._centres = np.array([[x, y] for _, x, y in clusters])
        # The golden ratio spreads the starting heights evenly, whatever their number.
        self._phases = np.arange(len(clusters)) * 0.618 % 1.0

    def animate(self, scene_state: SceneState) -> None:
        """Set the pose of every cluster."""
        height = _TOP - _BOTTOM
        fallen = (self._phases * height + _SPEED * scene_state.time) % height
        turn = 0.8 * scene_state.time + math.tau * self._phases
        poses = np.zeros((len(self._parts), 3, 4), np.float32)
        poses[:, 0, 0] = poses[:, 1, 1] = np.cos(turn)
        poses[:, 1, 0] = np.sin(turn)
        poses[:, 0, 1] = -poses[:, 1, 0]
        poses[:, 2, 2] = 1.0
        poses[:, 0, 3] = self._centres[:, 0] + _SWAY * np.sin(2.1 * fallen)
        poses[:, 1, 3] = self._centres[:, 1] + _SWAY * np.cos(1.7 * fallen)
        poses[:, 2, 3] = _TOP - fallen
        scene_state.poses[self._parts] = poses
