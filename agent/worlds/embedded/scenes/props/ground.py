"""Roads, pavements and yards, in small quads for mipmapping and baked shadows."""

from __future__ import annotations

import math

from agent.worlds.embedded.render.mesh import Box, Mesh, tile_uv
from agent.worlds.embedded.scenes.props.storefront import PAVEMENT

HALF_ROAD, HALF_STREET = 3.0, 4.25
"""Metres from the middle to the kerb, and to the houses."""
_STRIP = 2.0
_LANE = 1.5
_SHADE, _SHADED_PAVEMENT = 0.60, 0.6
_PAINT = 0.012
"""Height of road markings over the road, metres."""


def shade(x: float, y: float) -> float:
    """Return the light on the road, with the baked shadow of the western houses."""
    edge = -0.6 + 0.5 * math.sin(y * 0.7) + 0.4 * math.sin(y * 1.9)
    return _SHADE if x < edge else 1.0


def street(mesh: Mesh, y0: float, y1: float) -> None:
    """Lay the main street along y, pavements included."""
    y = y0
    while y < y1:
        end = min(y + _STRIP, y1)
        for lane in range(4):
            x0 = -HALF_ROAD + lane * _LANE
            x1 = x0 + _LANE
            light = tuple(
                1.02 * shade(x, v) * (0.93 if abs(x) > 2.6 else 1.0)
                for x, v in ((x0, y), (x1, y), (x1, end), (x0, end))
            )
            mesh.floor(x0, y, x1, end, 0.0, "asphalt", light)  # type: ignore[arg-type]
        for side in (-1, 1):
            _pavement(mesh, side, y, end)
        y = end


def _pavement(mesh: Mesh, side: int, y0: float, y1: float) -> None:
    """Lay one strip of pavement with its kerb, guiding blocks and edge line."""
    shadow = _SHADED_PAVEMENT if side < 0 else 1.0
    x0, x1 = sorted((side * HALF_ROAD, side * HALF_STREET))
    left, right = (0.72 * shadow if abs(x) > 4.2 else shadow for x in (x0, x1))
    mesh.floor(x0, y0, x1, y1, PAVEMENT, "walk", (left, right, right, left), uv=tile_uv(1.0, 1.4))
    kerb = side * HALF_ROAD
    near, far = (y0, y1) if side < 0 else (y1, y0)
    mesh.quad(
        ((kerb, near, 0.0), (kerb, far, 0.0), (kerb, far, PAVEMENT), (kerb, near, PAVEMENT)),
        "stone", 0.8,
    )  # fmt: skip
    x0, x1 = sorted((side * 3.35, side * 3.75))
    mesh.floor(x0, y0, x1, y1, PAVEMENT + 0.008, "tactile", shadow, uv=tile_uv(1.0, 5.0))
    x0, x1 = sorted((side * 2.72, side * 2.84))
    mesh.floor(x0, y0, x1, y1, _PAINT, "white", 0.64 if side < 0 else 1.05)


def pavement_edge(mesh: Mesh, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Close the side of the pavement along a line; seen with `start` on the left."""
    (xa, ya), (xb, yb) = start, end
    mesh.quad(((xa, ya, 0.0), (xb, yb, 0.0), (xb, yb, PAVEMENT), (xa, ya, PAVEMENT)), "stone", 0.7)


def crossing(mesh: Mesh, y: float) -> None:
    """Paint a pedestrian crossing that begins at y, and the word to stop before it."""
    for stripe in range(6):
        x = -2.4 + stripe * 0.9
        light = 0.68 if x < -0.6 else 1.08
        mesh.floor(x, y, x + 0.45, y + 3.0, _PAINT + 0.002, "white", light)
    mesh.floor(0.4, y - 4.4, 2.2, y - 0.8, _PAINT + 0.002, "tomare", 1.05)


def petals(mesh: Mesh, x0: float, y0: float, x1: float, y1: float) -> None:
    """Scatter fallen petals."""
    mesh.floor(x0, y0, x1, y1, _PAINT + 0.004, "petals", 0.95)


def tiles(
    mesh: Mesh, x0: float, y0: float, x1: float, y1: float, z: float, texture: str,
    light: float = 1.0, side: float = 2.0,
) -> None:  # fmt: skip
    """Cover a rectangle with squares of one texture."""
    columns, rows = max(1, round((x1 - x0) / side)), max(1, round((y1 - y0) / side))
    width, height = (x1 - x0) / columns, (y1 - y0) / rows
    for row in range(rows):
        for column in range(columns):
            x, y = x0 + column * width, y0 + row * height
            mesh.floor(x, y, x + width, y + height, z, texture, light)


def beyond(mesh: Mesh, bounds: Box, reach: float) -> None:
    """Lay the ground beyond the bounds, on all four sides."""
    x0, y0, x1, y1 = bounds
    west, south, east, north = x0 - reach, y0 - reach, x1 + reach, y1 + reach
    for box in ((west, south, x0, north), (x1, south, east, north),
                (x0, south, x1, y0), (x0, y1, x1, north)):  # fmt: skip
        mesh.floor(*box, -0.06, "stone", 0.7, uv=tile_uv(20.0, 20.0))
