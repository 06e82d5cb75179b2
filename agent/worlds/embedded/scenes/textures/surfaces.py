"""Surfaces of streets and walls."""

from __future__ import annotations

import random

from agent.worlds.embedded.scenes.textures.canvas import Canvas, Colour, Texture
from agent.worlds.embedded.scenes.textures.strokes import write_down

WALLS: dict[str, tuple[Colour, float]] = {
    "stucco": ((222, 210, 188), 6),
    "concrete": ((150, 148, 146), 8),
    "dark": ((60, 54, 50), 6),
    "metal": ((120, 124, 128), 4),
    "pole": ((140, 138, 132), 5),
    "gravel": ((186, 178, 162), 14),
    "earth": ((150, 132, 108), 8),
    "grass": ((108, 138, 78), 12),
    "verm": ((206, 60, 36), 5),
    "red": ((196, 34, 36), 5),
    "blue": ((38, 66, 120), 5),
    "green": ((58, 110, 72), 5),
    "orange": ((226, 130, 40), 5),
    "black": ((36, 34, 38), 5),
    "cream": ((240, 228, 200), 5),
    "bark": ((84, 60, 50), 7),
    "stone": ((142, 140, 132), 7),
    "yellow": ((236, 200, 60), 5),
    "skin": ((232, 190, 160), 3),
}
"""Plain colours with grain, by name."""


def textures() -> dict[str, Texture]:
    """Draw every surface."""
    drawn = {
        name: Canvas(colour).finish(grain, seed=index, coarse=3)
        for index, (name, (colour, grain)) in enumerate(WALLS.items())
    }
    drawn["asphalt"] = Canvas((88, 88, 94)).finish(9, seed=101, coarse=4)
    drawn["white"] = Canvas((232, 230, 224)).finish(5, seed=102)
    drawn["walk"] = _paving((168, 160, 150), 13, 103)
    drawn["slabs"] = _slabs()
    drawn["tactile"] = _tactile()
    drawn["tomare"] = _stop_mark()
    drawn["wood"] = _planks((112, 74, 46), 14, 104)
    drawn["boards"] = _planks((170, 128, 84), 10, 105)
    drawn["tatami"] = _tatami()
    drawn["kawara"] = _roof_tiles()
    drawn["awning"] = _stripes((232, 60, 52))
    drawn["awning2"] = _stripes((48, 110, 92))
    drawn["brick"] = _brick()
    return drawn


def _paving(colour: Colour, spread: int, seed: int) -> Texture:
    canvas, rng = Canvas(colour), random.Random(seed)
    for row in range(5):
        for column in range(-1, 5):
            value = rng.randrange(-spread, spread)
            shade = (colour[0] + value, colour[1] + value, colour[2] + value)
            x = column / 4 + (row % 2) * 0.125
            canvas.rectangle(x, row / 4 + 0.008, x + 0.238, row / 4 + 0.242, shade)
    return canvas.finish(5, seed)


def _slabs() -> Texture:
    canvas, rng = Canvas((120, 118, 110)), random.Random(7)
    for x, y, width, height in ((0, 0, 0.6, 0.5), (0.6, 0, 0.4, 0.5), (0, 0.5, 0.4, 0.5),
                                (0.4, 0.5, 0.6, 0.5)):  # fmt: skip
        value = 158 + rng.randrange(24)
        canvas.rectangle(
            x + 0.01, y + 0.01, x + width - 0.01, y + height - 0.01, (value, value - 2, value - 10)
        )
    return canvas.finish(6, seed=8, coarse=3)


def _tactile() -> Texture:
    canvas = Canvas((214, 178, 40))
    for row in range(4):
        for column in range(4):
            x, y = (column + 0.5) / 4, (row + 0.5) / 4
            canvas.ellipse(x, y, 0.0625, 0.0625, (240, 208, 70))
    return canvas.finish()


def _stop_mark() -> Texture:
    canvas = Canvas(None)
    write_down(canvas, "止まれ", 0.33, 0.02, 0.34, 0.98, (236, 234, 228), 0.05)
    return canvas.finish()


def _planks(colour: Colour, spread: int, seed: int) -> Texture:
    canvas, rng = Canvas((colour[0] - 34, colour[1] - 28, colour[2] - 22)), random.Random(seed)
    for plank in range(8):
        value = rng.randrange(-spread, spread)
        shade = (colour[0] + value, colour[1] + value, colour[2] + value)
        canvas.rectangle(plank / 8, 0, plank / 8 + 0.115, 1, shade)
    return canvas.finish(5, seed)


def _tatami() -> Texture:
    canvas = Canvas((196, 190, 126))
    for line in range(32):
        canvas.rectangle(0, line / 32, 1, line / 32 + 0.012, (180, 174, 110))
    for x in (0.0, 0.96):
        canvas.rectangle(x, 0, x + 0.04, 1, (58, 70, 58))
    return canvas.finish(3, seed=9)


def _roof_tiles() -> Texture:
    canvas, rng = Canvas((58, 66, 78)), random.Random(10)
    for row in range(9):
        for column in range(9):
            x, y = (column + 0.5 - 0.5 * (row % 2)) / 8, (row + 0.25) / 8
            shade = (74 + rng.randrange(16), 84 + rng.randrange(14), 98)
            canvas.ellipse(x, y, 0.06, 0.094, shade, (36, 42, 50))
    return canvas.finish()


def _stripes(colour: Colour) -> Texture:
    canvas = Canvas(colour)
    for stripe in range(0, 8, 2):
        canvas.rectangle(stripe / 8, 0, (stripe + 1) / 8, 1, (246, 240, 230))
    return canvas.finish()


def _brick() -> Texture:
    canvas, rng = Canvas((178, 166, 152)), random.Random(11)
    for row in range(12):
        for column in range(-1, 6):
            value = rng.randrange(-16, 16)
            x = column / 6 + (row % 2) / 12
            canvas.rectangle(
                x, row / 12, x + 0.155, row / 12 + 0.072, (158 + value, 92 + value, 72 + value)
            )
    return canvas.finish(4, seed=12)
