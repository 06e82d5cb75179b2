"""A teahouse that can be entered, with a rolling shutter in its doorway."""

from __future__ import annotations

import random
from collections.abc import Sequence

from agent.worlds.embedded.render.mesh import Mesh, tile_uv
from agent.worlds.embedded.scenes.props.door import Door
from agent.worlds.embedded.scenes.props.houses import DEPTH, GROUND_FLOOR, eave, upper_storeys
from agent.worlds.embedded.scenes.props.storefront import PAVEMENT, lantern

WIDTH = 6.6
_WALL = 0.2
_DOOR = (2.3, 4.3)
_DOOR_HEIGHT = 2.3
_CEILING = 2.75
_GLOW = 0.98


def teahouse(mesh: Mesh, rng: random.Random, is_open: bool, toggles_at_s: Sequence[float]) -> Door:
    """Build the shop in the frame of a house of this WIDTH.

    Returns:
        Its shutter.
    """
    upper_storeys(mesh, rng, WIDTH, 2, "u1")
    eave(mesh, WIDTH, None, "u1")
    _shell(mesh)
    _inside(mesh)
    _furniture(mesh)
    left, right = _DOOR
    mesh.wall(left, right, 1.85, 2.5, "n_tea", 1.0, y=-0.3, two_sided=True)
    for x in (0.5, 1.5, WIDTH - 1.5, WIDTH - 0.5):
        lantern(mesh, x, -0.55, 2.48, 0.56, "lan_red")
    frame = mesh.current_frame()
    with mesh.part() as part:
        mesh.wall(left, right, 0.0, _DOOR_HEIGHT, "shutter", 0.95, y=0.1, two_sided=True)
    solid = mesh.solid(left, 0.0, right, _WALL)
    rise = (0.0, 0.0, _DOOR_HEIGHT - 0.2)
    return Door(part, solid, frame, rise, is_open, toggles_at_s, takes_s=1.5)


def _shell(mesh: Mesh) -> None:
    """Build the front around the doorway and stop the body at the walls."""
    left, right = _DOOR
    for x0, x1 in ((0.0, left), (right, WIDTH)):
        mesh.wall(x0, x1, 0.0, GROUND_FLOOR, "f_lattice", _GLOW, uv=tile_uv(0.5, 1.0))
        mesh.wall(x1, x0, 0.0, _CEILING, "stucco", 0.8, y=_WALL)
        mesh.solid(x0, 0.0, x1, _WALL)
    mesh.wall(left, right, _DOOR_HEIGHT, GROUND_FLOOR, "wood")
    mesh.wall(right, left, _DOOR_HEIGHT, _CEILING, "wood", 0.6, y=_WALL)
    for x, face in ((left, "X"), (right, "x")):
        centre = (x, _WALL / 2, _DOOR_HEIGHT / 2)
        mesh.box(centre, (0.0, _WALL, _DOOR_HEIGHT), "wood", face, light=0.7)
    mesh.solid(0.0, 0.0, _WALL, DEPTH)
    mesh.solid(WIDTH - _WALL, 0.0, WIDTH, DEPTH)
    mesh.solid(0.0, DEPTH - _WALL, WIDTH, DEPTH)


def _inside(mesh: Mesh) -> None:
    """Line the room: boards below, shelves behind, plaster at the sides."""
    x0, x1, y0, y1 = _WALL, WIDTH - _WALL, _WALL, DEPTH - _WALL
    rows = 3
    for row in range(rows):
        a, b = y0 + (y1 - y0) * row / rows, y0 + (y1 - y0) * (row + 1) / rows
        mesh.floor(x0, a, (x0 + x1) / 2, b, PAVEMENT, "boards", _GLOW, uv=tile_uv(2, 1))
        mesh.floor((x0 + x1) / 2, a, x1, b, PAVEMENT, "boards", _GLOW, uv=tile_uv(2, 1))
    mesh.floor(x0 - 0.2, -0.1, x1, y0, PAVEMENT, "stone", 0.8)
    mesh.slope(x0, x1, (y1, _CEILING), (y0, _CEILING), "wood", 0.7, tile_uv(2, 2))
    for left, right in ((x0, (x0 + x1) / 2), ((x0 + x1) / 2, x1)):
        mesh.wall(left, right, 0.0, _CEILING, "counter", _GLOW, y=y1)
    mesh.box((x0, (y0 + y1) / 2, _CEILING / 2), (0.0, y1 - y0, _CEILING), "stucco", "X", 0.85)
    mesh.box((x1, (y0 + y1) / 2, _CEILING / 2), (0.0, y1 - y0, _CEILING), "stucco", "x", 0.95)
    mesh.box((x0 + 0.02, 2.8, 1.75), (0.0, 2.6, 0.9), "menu", "X", _GLOW)
    mesh.box((x1 - 0.02, 2.8, 1.75), (0.0, 1.0, 0.8), "s_tea", "x", _GLOW)


def _furniture(mesh: Mesh) -> None:
    mesh.box((2.2, 5.4, 0.55), (3.6, 0.6, 1.1), {"Z": "boards", "*": "wood"}, light=0.9)
    mesh.solid(0.4, 5.1, 4.0, 5.7)
    for x in (1.1, 5.4):
        mesh.box((x, 2.6, 0.75), (0.9, 1.6, 0.08), "boards", "xXyYZ", 0.95)
        mesh.box((x, 2.6, 0.35), (0.3, 0.9, 0.7), "wood", "xXyY", 0.6)
        mesh.solid(x - 0.45, 1.8, x + 0.45, 3.4)
        lantern(mesh, x, 2.6, 2.4, 0.5, "lan_white")
        for y in (2.2, 3.0):
            mesh.cylinder(x, y, 0.79, 0.9, 0.06, 6, "green")
