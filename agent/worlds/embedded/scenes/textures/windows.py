"""Upper floors: walls with windows."""

from __future__ import annotations

import random
from typing import Literal

from agent.worlds.embedded.scenes.textures.canvas import Canvas, Colour, Texture, darker
from agent.worlds.embedded.scenes.textures.facades import glow

Kind = Literal["plain", "wood", "tile", "balcony"]
STYLES: dict[str, tuple[Colour, Kind, str]] = {
    "u0": ((214, 200, 174), "plain", "stucco"),
    "u1": ((134, 94, 62), "wood", "wood"),
    "u2": ((186, 150, 128), "tile", "stucco"),
    "u3": ((204, 208, 210), "balcony", "concrete"),
    "u4": ((168, 176, 170), "plain", "concrete"),
    "u5": ((96, 70, 54), "wood", "dark"),
}
"""Wall colour, kind, and the surface of the side walls that goes with it."""


def textures() -> dict[str, Texture]:
    """Draw every upper floor."""
    return {
        name: _floor(colour, kind, seed)
        for seed, (name, (colour, kind, _)) in enumerate(STYLES.items(), start=40)
    }


def _floor(wall: Colour, kind: Kind, seed: int) -> Texture:
    canvas, rng = Canvas(wall), random.Random(seed)
    _cladding(canvas, wall, kind)
    for left in (0.1, 0.56):
        _window(canvas, left, wall, kind, lit=rng.random() < 0.45)
    if kind == "balcony":
        _balcony(canvas)
    else:
        _air_conditioner(canvas)
    return canvas.finish(3, seed)


def _cladding(canvas: Canvas, wall: Colour, kind: Kind) -> None:
    if kind == "wood":
        for board in range(10):
            canvas.rectangle(0, board / 10, 1, board / 10 + 0.012, darker(wall, 0.75))
    elif kind == "tile":
        joint = darker(wall, 0.85)
        for row in range(16):
            canvas.rectangle(0, row / 16, 1, row / 16 + 0.006, joint)
            for column in range(8):
                x = column / 8 + (row % 2) / 16
                canvas.rectangle(x, row / 16, x + 0.005, (row + 1) / 16, joint)


def _window(canvas: Canvas, left: float, wall: Colour, kind: Kind, *, lit: bool) -> None:
    canvas.rectangle(left - 0.02, 0.2, left + 0.36, 0.68, darker(wall, 0.55))
    if lit:
        glow(canvas, left, 0.22, left + 0.34, 0.66)
    else:
        canvas.rectangle(left, 0.22, left + 0.34, 0.66, (92, 116, 138))
        reflection = [(left, 0.66), (left + 0.2, 0.22), (left + 0.34, 0.22), (left + 0.12, 0.66)]
        canvas.polygon(reflection, (132, 158, 178))
    canvas.rectangle(left + 0.16, 0.22, left + 0.18, 0.66, darker(wall, 0.5))
    if kind == "wood":
        for lath in range(8):
            x = left + lath * 0.045
            canvas.rectangle(x, 0.22, x + 0.008, 0.66, (70, 46, 30))


def _balcony(canvas: Canvas) -> None:
    washing = ((230, 230, 235), (120, 150, 200), (230, 190, 190), (240, 240, 240), (90, 110, 130))
    canvas.rectangle(0.04, 0.6, 0.96, 0.95, (196, 196, 192))
    for bar in range(22):
        x = 0.06 + bar * 0.041
        canvas.rectangle(x, 0.63, x + 0.015, 0.93, (150, 152, 150))
    for item, colour in enumerate(washing):
        x = 0.12 + item * 0.15
        canvas.rectangle(x, 0.42, x + 0.1, 0.62 + 0.04 * (item % 2), colour)


def _air_conditioner(canvas: Canvas) -> None:
    canvas.rectangle(0.62, 0.76, 0.84, 0.94, (214, 214, 208))
    canvas.ellipse(0.705, 0.85, 0.055, 0.07, (120, 122, 120))
    canvas.ellipse(0.705, 0.85, 0.02, 0.025, (180, 182, 180))
