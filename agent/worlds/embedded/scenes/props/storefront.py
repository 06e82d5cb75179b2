"""Props in front of a house: curtains, lanterns, signs, vending machines, flags."""

from __future__ import annotations

import random

from agent.worlds.embedded.render.mesh import Mesh

_LANTERN_GLOW, _SIGN_GLOW, _MACHINE_GLOW = 1.12, 1.08, 1.12
_MACHINE_SIDES = {"vend_r": "red", "vend_w": "white", "vend_b": "blue"}
PAVEMENT = 0.12
"""Height of the pavement, metres."""


def lantern(
    mesh: Mesh, x: float, y: float, z: float, size: float, texture: str, sides: int = 6
) -> None:
    """Hang a paper lantern whose top is at z; `size` is its height."""
    profile = [(0.11, 0.0), (0.3, 0.15), (0.34, 0.5), (0.3, 0.85), (0.11, 1.0)]
    points = [(radius * size, z - size + height * size) for radius, height in profile]
    mesh.lathe(x, y, points, sides, texture, _LANTERN_GLOW)


def dress(
    mesh: Mesh,
    rng: random.Random,
    width: float,
    height: float,
    noren: str | None,
    sign: str | None,
    *,
    furniture: bool,
    awning: bool,
) -> None:
    """Build all props of one house.

    Args:
        mesh: built into, in the house's frame.
        rng: decides the furniture.
        width: of the house.
        height: of its walls.
        noren: texture of the shop curtain; with it come lanterns.
        sign: texture of the projecting sign.
        furniture: whether anything stands on the ground.
        awning: whether the roof in front reaches far out.
    """
    if noren:
        mesh.wall(width * 0.2, width * 0.8, 1.75, 2.5, noren, 1.0, y=-0.35, two_sided=True)
        for number in range(int((width - 0.7) / 1.3)):
            texture = rng.choice(("lan_red", "lan_red", "lan_white"))
            lantern(mesh, 0.6 + number * 1.3, -0.62, 2.48, 0.56, texture)
    if sign:
        _projecting_sign(mesh, sign, height)
    if not furniture:
        return
    kind = rng.random()
    if kind < 0.42:
        for number in range(rng.choice((1, 2))):
            machine = rng.choice(sorted(_MACHINE_SIDES))
            vending_machine(mesh, width - 0.7 - number * 1.05, machine)
    elif kind < 0.7:
        _flags(mesh, width, 0.95 if awning else 0.8)
    elif kind < 0.88:
        _planters(mesh, rng.choice(("leaf", "flowers")))
    else:
        _standing_sign(mesh)


def _projecting_sign(mesh: Mesh, texture: str, height: float) -> None:
    """Put up a sign that is read from along the street."""
    bottom = 3.1
    top = bottom + min(2.6, max(1.7, height - 3.4))
    faces = {"x": texture, "X": texture, "*": "dark"}
    mesh.box((0.25, -0.55, (bottom + top) / 2), (0.16, 0.8, top - bottom), faces, light=_SIGN_GLOW)


def vending_machine(mesh: Mesh, x: float, texture: str) -> None:
    """Stand a drinks machine against the wall behind it."""
    side = _MACHINE_SIDES[texture]
    mesh.box((x, -0.36, PAVEMENT + 0.92), (1.0, 0.72, 1.84), side, "xXZ")
    mesh.wall(x - 0.5, x + 0.5, PAVEMENT, PAVEMENT + 1.84, texture, _MACHINE_GLOW, y=-0.72)
    mesh.solid(x - 0.5, -0.72, x + 0.5, 0.0)


def _flags(mesh: Mesh, width: float, reach: float) -> None:
    for number in range(min(3, int(width / 1.4))):
        x = 0.6 + number * 1.3
        mesh.cylinder(x, -reach, PAVEMENT, 2.5, 0.02, 4, "white")
        low, high, far, near = 0.75, 2.45, -reach, -reach + 0.5
        mesh.quad(
            ((x, far, low), (x, near, low), (x, near, high), (x, far, high)),
            f"nob{number % 3 + 1}", 1.0, two_sided=True,
        )  # fmt: skip


def _planters(mesh: Mesh, plant: str) -> None:
    for number in range(3):
        x = 0.8 + number * 0.8
        mesh.box((x, -0.35, PAVEMENT + 0.2), (0.6, 0.4, 0.4), "brick")
        mesh.foliage(x, -0.35, 0.8, 0.36, plant)
    mesh.solid(0.5, -0.55, 2.7, 0.0)


def _standing_sign(mesh: Mesh) -> None:
    mesh.box((1.2, -0.6, 0.6), (0.06, 0.6, 0.95), "s_tea", light=0.98)
    mesh.solid(1.1, -0.9, 1.3, -0.3)
