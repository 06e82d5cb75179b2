"""Textures of food: a dish on a table."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np

from agent.worlds.embedded.scenes.textures import dishes, japanese_dishes
from agent.worlds.embedded.scenes.textures.canvas import SIZE, Canvas, Colour, Texture, darker

KINDS = {**dishes.DISHES, **japanese_dishes.DISHES}
"""Every kind of food by name."""
_SUPERSAMPLE = 2
_TABLE_COLOURS: tuple[Colour, ...] = (
    (196, 60, 54), (240, 214, 160), (58, 96, 150), (96, 148, 92), (236, 150, 60), (120, 78, 52),
    (226, 226, 220), (150, 96, 150), (246, 200, 210), (44, 48, 60),
)  # fmt: skip


def _light() -> np.ndarray[tuple[int, int, int], np.dtype[np.float32]]:
    """Return lamp light from the upper left, which makes things look round."""
    x, y = np.meshgrid(np.linspace(-1, 1, SIZE), np.linspace(-1, 1, SIZE))
    return (1.1 - 0.12 * ((x + 0.4) ** 2 + (y + 0.4) ** 2))[..., np.newaxis].astype(np.float32)


_LAMP = _light()


def _planks(canvas: Canvas, rng: random.Random, colour: Colour) -> None:
    for k in range(count := rng.randint(3, 7)):
        shade = darker(colour, 0.85 + 0.3 * rng.random())
        canvas.rectangle(k / count, 0, (k + 1) / count - 0.01, 1, shade)


def _checks(canvas: Canvas, rng: random.Random, colour: Colour) -> None:
    count = rng.randint(3, 8)
    for row in range(count):
        for column in range(count):
            shade = darker(colour, (0.7, 0.95, 1.25)[row % 2 + column % 2])
            x, y = column / count, row / count
            canvas.rectangle(x, y, x + 1 / count, y + 1 / count, shade)


def _stripes(canvas: Canvas, rng: random.Random, colour: Colour) -> None:
    x = 0.0
    while x < 1.0:
        width = 0.03 + rng.random() * 0.12
        canvas.rectangle(x, 0, x + width, 1, darker(colour, 0.6 + 0.8 * rng.random()))
        x += width


def _dots(canvas: Canvas, rng: random.Random, colour: Colour) -> None:
    count, dot = rng.randint(4, 8), darker(colour, 1.5 if sum(colour) < 420 else 0.7)
    for row in range(count):
        for column in range(count):
            x, y = (column + 0.25 + 0.5 * (row % 2)) / count, (row + 0.5) / count
            canvas.ellipse(x, y, 0.2 / count, 0.2 / count, dot)


_PATTERNS: tuple[Callable[[Canvas, random.Random, Colour], None], ...] = (
    _planks, _checks, _stripes, _dots,
)  # fmt: skip


def table(rng: random.Random) -> Texture:
    """Draw a table top or cloth, opaque."""
    colour = dishes.around(rng, rng.choice(_TABLE_COLOURS), 24)
    canvas = Canvas(colour, _SUPERSAMPLE)
    rng.choice(_PATTERNS)(canvas, rng, colour)
    return _lit(canvas.finish())


def dish(rng: random.Random, kind: str | None = None) -> Texture:
    """Draw one dish on a transparent ground; default: of a random kind."""
    canvas = Canvas(None, _SUPERSAMPLE)
    KINDS[kind or rng.choice(sorted(KINDS))](canvas, rng)
    return _lit(canvas.finish())


def _lit(texture: Texture) -> Texture:
    texture[..., :3] = np.clip(texture[..., :3] * _LAMP, 0, 255)
    return texture


def lay(below: Texture, above: Texture) -> Texture:
    """Put a dish on a table."""
    alpha = above[..., 3:].astype(np.float32) / 255
    laid = below.copy()
    laid[..., :3] = below[..., :3] * (1 - alpha) + above[..., :3] * alpha
    return laid


def texture(rng: random.Random, kind: str | None = None) -> Texture:
    """Draw a dish on a table, opaque."""
    return lay(table(rng), dish(rng, kind))
