"""Poles with wires, and strings of lanterns across the street."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from agent.worlds.embedded.render.mesh import Mesh
from agent.worlds.embedded.scenes.props.storefront import lantern
from agent.worlds.embedded.scenes.state import SceneEffect, SceneState

_CABLES = ((-0.85, 7.66), (0.0, 7.66), (0.85, 7.66), (-0.5, 6.95), (0.5, 6.95))
"""Offset across the street and height of each cable."""
_SAG = 0.7


def pole(mesh: Mesh, x: float, y: float, inward: float) -> None:
    """Stand a pole with its lamp on the side of `inward` (+1 or -1 along x)."""
    mesh.cylinder(x, y, 0.0, 8.2, 0.17, 7, "pole", top_radius=0.12, repeat=6)
    mesh.box((x, y, 7.6), (1.9, 0.1, 0.1), "metal")
    mesh.box((x, y, 6.9), (1.3, 0.1, 0.1), "metal")
    mesh.cylinder(x + 0.42 * inward, y + 0.25, 5.6, 6.6, 0.27, 8, "metal")
    mesh.box((x + 0.6 * inward, y, 5.2), (1.2, 0.06, 0.06), "metal")
    mesh.box((x + 1.2 * inward, y, 5.12), (0.5, 0.2, 0.1), "white", "xXyYzZ", light=1.15)
    mesh.box((x, y - 0.19, 2.1), (0.22, 0.02, 0.62), {"y": "s_book", "*": "white"}, light=1.0)
    for band in range(5):
        z = 0.3 + band * 0.24
        texture = "yellow" if band % 2 else "black"
        mesh.cylinder(x, y, z, z + 0.12, 0.176, 7, texture)
    mesh.solid(x - 0.2, y - 0.2, x + 0.2, y + 0.2)


def cables(mesh: Mesh, poles: Sequence[tuple[float, float]], houses_at: float) -> None:
    """Join poles in order, and each to the houses on both sides."""
    for (xa, ya), (xb, yb) in pairwise(poles):
        for offset, z in _CABLES:
            mesh.wire((xa + offset, ya, z), (xb + offset, yb, z), 0.55)
    for x, y in poles:
        for side in (-houses_at, houses_at):
            mesh.wire((x, y, 6.9), (side, y + 3.5, 5.2), 0.3, 3, 0.044)


def lantern_string(mesh: Mesh, half_width: float, count: int = 8) -> int:
    """Build a sagging string of lanterns as a moving part around (0, 0, 0), along x.

    Returns:
        The part, to be swung by `SwingingStrings`.
    """
    with mesh.part() as part:
        mesh.wire((-half_width, 0.0, 0.0), (half_width, 0.0, 0.0), _SAG, 8, 0.04)
        for number in range(count):
            share = (number + 0.5) / count
            z = -4.0 * _SAG * share * (1.0 - share)
            texture = "lan_red" if number % 2 else "lan_white"
            lantern(mesh, half_width * (2.0 * share - 1.0), 0.0, z, 0.62, texture, sides=8)
    return part


class SwingingStrings(SceneEffect):
    """Strings that swing in the wind, each with its own period.

    Args:
        strings: part, x, y, z and direction (radians to the left of +x) of each.
        swing: largest angle, radians.
        period: of the first string, seconds; each next one is a little slower.
    """

    def __init__(
        self,
        strings: Sequence[tuple[int, float, float, float, float]],
        swing: float = 0.2,
        period: float = 2.6,
    ) -> None:
        self._parts = [part for part, *_ in strings]
        self._origins = np.array([[x, y, z] for _, x, y, z, _ in strings], np.float32)
        self._turns = np.array([turn for *_, turn in strings])
        self._rates = math.tau / (period * (1.0 + 0.07 * np.arange(len(strings))))
        self._swing = swing

    def animate(self, scene_state: SceneState) -> None:
        """Set the pose of every string."""
        angles = self._swing * np.sin(self._rates * scene_state.time)
        cosine, sine = np.cos(angles), np.sin(angles)
        along, aside = np.cos(self._turns), np.sin(self._turns)
        poses = np.zeros((len(self._parts), 3, 4), np.float32)
        poses[:, 0, 0], poses[:, 1, 0] = along, aside
        poses[:, 0, 1], poses[:, 1, 1], poses[:, 2, 1] = -aside * cosine, along * cosine, sine
        poses[:, 0, 2], poses[:, 1, 2], poses[:, 2, 2] = aside * sine, -along * sine, cosine
        poses[:, :, 3] = self._origins
        scene_state.poses[self._parts] = poses
