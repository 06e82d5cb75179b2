"""Wooden fences and a sliding gate."""

from __future__ import annotations

from collections.abc import Sequence

from agent.worlds.embedded.render.mesh import Mesh, tile_uv
from agent.worlds.embedded.scenes.props.door import Door

_THICKNESS = 0.2


def fence(mesh: Mesh, length: float, height: float) -> None:
    """Build a fence from x = 0 to `length` that faces -y and stops the body."""
    x, piece = 0.0, 3.0
    while x < length - 1e-6:
        end = min(x + piece, length)
        mesh.wall(x, end, 0.0, height - 0.2, "wood", uv=tile_uv((end - x) / 1.2, 1.0))
        mesh.wall(x, end, height - 0.2, height, "kawara", uv=tile_uv((end - x) / 1.2, 0.3))
        x = end
    mesh.floor(0.0, 0.0, length, _THICKNESS, height, "kawara", uv=tile_uv(length, 0.3))
    mesh.solid(0.0, 0.0, length, _THICKNESS)


def gateway(mesh: Mesh, width: float, is_open: bool, toggles_at_s: Sequence[float]) -> Door:
    """Build a roofed gateway of this width in the wall along x.

    Returns:
        Its gate, which slides behind the wall on the right.
    """
    height, post = 2.3, 0.25
    for x in (post / 2, width - post / 2):
        mesh.box((x, 0.15, 1.3), (post, 0.3, 2.6), "wood", "xXyY")
        mesh.solid(x - post / 2, 0.0, x + post / 2, 0.3)
    mesh.box((width / 2, 0.15, 2.5), (width, 0.36, 0.2), "wood", "xXyYz")
    low, high, reach = 2.6, 3.0, 0.7
    for front, back in ((-reach, 0.15), (reach + 0.3, 0.15)):
        left, right = (0.0, width) if front < back else (width, 0.0)
        mesh.slope(left, right, (front, low), (back, high), "kawara", uv=tile_uv(3.0))
        mesh.slope(right, left, (front, low), (back, high), "wood", 0.5)
    frame = mesh.current_frame()
    with mesh.part() as part:
        mesh.wall(
            post, width - post, 0.0, height, "f_lattice", 0.8, y=0.15, two_sided=True,
            uv=tile_uv(0.5, 1.0),
        )  # fmt: skip
    solid = mesh.solid(post, 0.05, width - post, 0.25)
    return Door(part, solid, frame, (width - 0.3, 0.0, 0.0), is_open, toggles_at_s)
