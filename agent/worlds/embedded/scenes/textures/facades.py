"""Ground floors of shops and houses."""

from __future__ import annotations

import random
from collections.abc import Sequence

from agent.worlds.embedded.scenes.textures.canvas import Canvas, Colour, Texture
from agent.worlds.embedded.scenes.textures.strokes import write_across

_DARK_WOOD, _WOOD, _LATH = (62, 38, 24), (70, 44, 28), (84, 52, 32)


def textures() -> dict[str, Texture]:
    """Draw every ground floor."""
    return {
        "f_lattice": _lattice(),
        "f_conbini": _convenience_store(),
        "f_books": _shelves(
            (206, 196, 176),
            [(180, 60, 50), (60, 80, 130), (220, 210, 180), (90, 120, 80), (150, 110, 70)],
            2,
            ("本屋", (40, 60, 90), (250, 240, 220)),
        ),
        "f_ramen": _shelves(
            (160, 40, 34),
            [(250, 220, 160), (200, 60, 40), (90, 60, 40), (240, 200, 90)],
            4,
            ("ラーメン", (180, 30, 28), (255, 240, 190)),
        ),
        "f_flowers": _shelves(
            (90, 120, 84),
            [(240, 90, 110), (250, 210, 80), (250, 250, 245), (190, 120, 210), (80, 140, 70)],
            5,
            ("花屋", (236, 232, 214), (190, 60, 110)),
        ),
        "f_cafe": _cafe(),
        "f_yaoya": _greengrocer(),
        "f_shutter": _shutter(),
        "f_house": _house(),
        "shutter": _slats(),
        "counter": _counter(),
    }


def glow(canvas: Canvas, x0: float, y0: float, x1: float, y1: float) -> None:
    """Fill a window with lamp light, brighter at the top."""
    for row in range(20):
        share = row / 20
        colour = (int(255 - 40 * share), int(214 - 70 * share), int(140 - 60 * share))
        top = y0 + (y1 - y0) * share
        canvas.rectangle(x0, top, x1, min(y1, top + (y1 - y0) * 0.06), colour)


def _lattice() -> Texture:
    """Draw sliding doors of wooden lattice with light behind them."""
    canvas = Canvas((92, 58, 36))
    glow(canvas, 0.06, 0.16, 0.94, 0.95)
    for door in range(4):
        left = 0.06 + 0.22 * door
        for lath in range(7):
            x = left + lath * 0.0315
            canvas.rectangle(x, 0.16, x + 0.01, 0.95, _LATH)
        for y in (0.16, 0.42, 0.68, 0.92):
            canvas.rectangle(left, y, left + 0.22, y + 0.022, _LATH)
        canvas.rectangle(left - 0.012, 0.16, left + 0.012, 0.97, _DARK_WOOD)
    canvas.rectangle(0, 0, 1, 0.15, _WOOD)
    canvas.rectangle(0, 0.95, 1, 1, (60, 40, 28))
    return canvas.finish(3, seed=20)


def _glass_front(wall: Colour, goods: Sequence[Colour], seed: int) -> Canvas:
    """Draw three panes with shelves of goods behind them."""
    canvas, rng = Canvas(wall), random.Random(seed)
    canvas.rectangle(0.04, 0.22, 0.96, 0.94, (60, 70, 78))
    for pane in range(3):
        left = 0.06 + pane * 0.3
        canvas.rectangle(left, 0.24, left + 0.28, 0.92, (250, 240, 214))
        for shelf in range(4):
            y = 0.36 + shelf * 0.15
            canvas.rectangle(left, y, left + 0.28, y + 0.012, (120, 110, 100))
            for item in range(8):
                x, height = left + 0.01 + item * 0.034, 0.04 + rng.random() * 0.06
                canvas.rectangle(x, y - height, x + 0.025, y, rng.choice(goods))
        canvas.line([(left + 0.04, 0.9), (left + 0.2, 0.3)], (255, 255, 255), 0.01)
    return canvas


def _shelves(
    wall: Colour, goods: Sequence[Colour], seed: int, sign: tuple[str, Colour, Colour]
) -> Texture:
    canvas = _glass_front(wall, goods, seed)
    text, ground, ink = sign
    canvas.rectangle(0, 0, 1, 0.2, ground)
    size = 0.15
    left = 0.5 - len(text) * size * 1.1 / 2
    write_across(canvas, text, left, 0.025, size, ink, 0.018)
    return canvas.finish()


def _convenience_store() -> Texture:
    goods = [(220, 60, 50), (50, 120, 200), (240, 190, 60), (80, 170, 90), (240, 240, 240)]
    canvas = _glass_front((240, 240, 238), goods, 1)
    canvas.rectangle(0, 0, 1, 0.06, (30, 140, 80))
    canvas.rectangle(0, 0.06, 1, 0.11, (250, 250, 250))
    canvas.rectangle(0, 0.11, 1, 0.16, (230, 90, 30))
    return canvas.finish()


def _cafe() -> Texture:
    canvas = Canvas((84, 62, 50))
    canvas.rectangle(0, 0, 1, 0.2, (46, 62, 58))
    write_across(canvas, "カフェ", 0.25, 0.03, 0.14, (248, 236, 206), 0.018)
    for left in (0.06, 0.62):
        glow(canvas, left, 0.3, left + 0.32, 0.74)
        canvas.rectangle(left + 0.15, 0.3, left + 0.17, 0.74, (58, 42, 34))
        canvas.rectangle(left, 0.5, left + 0.32, 0.52, (58, 42, 34))
        for plant in range(6):
            canvas.ellipse(left + 0.03 + plant * 0.05, 0.78, 0.035, 0.04, (70, 116, 66))
    canvas.rectangle(0.42, 0.26, 0.58, 1, (52, 38, 32))
    glow(canvas, 0.45, 0.3, 0.55, 0.7)
    canvas.ellipse(0.555, 0.8, 0.01, 0.01, (230, 200, 110))
    return canvas.finish(3, seed=21)


def _greengrocer() -> Texture:
    canvas, rng = Canvas((120, 92, 60)), random.Random(22)
    canvas.rectangle(0.03, 0.14, 0.97, 0.6, (58, 44, 36))
    glow(canvas, 0.05, 0.16, 0.95, 0.45)
    colours = [(214, 60, 40), (90, 160, 60), (240, 150, 40), (150, 80, 150), (240, 220, 90),
               (60, 120, 50), (230, 120, 120)]  # fmt: skip
    for row in range(3):
        for column in range(6):
            x, y = 0.03 + column * 0.158, 0.46 + row * 0.17
            canvas.rectangle(x, y, x + 0.15, y + 0.155, (140, 104, 62))
            red, green, blue = colours[(column + row * 2) % 7]
            for _ in range(22):
                shade = rng.randrange(-25, 25)
                canvas.ellipse(
                    x + 0.018 + rng.random() * 0.115,
                    y + 0.02 + rng.random() * 0.1,
                    0.031,
                    0.027,
                    (max(0, red + shade), max(0, green + shade), max(0, blue + shade)),
                )
    canvas.rectangle(0, 0, 1, 0.14, (50, 110, 60))
    write_across(canvas, "八百屋", 0.3, 0.015, 0.115, (255, 250, 230), 0.014)
    return canvas.finish()


def _slats() -> Texture:
    """Draw a rolling shutter that fills the texture."""
    canvas = Canvas((150, 152, 150))
    for slat in range(24):
        canvas.rectangle(0, slat / 24, 1, slat / 24 + 0.022, (178, 180, 178))
    canvas.rectangle(0, 0.94, 1, 1, (96, 98, 100))
    canvas.rectangle(0.46, 0.9, 0.54, 0.93, (60, 62, 64))
    return canvas.finish(4, seed=23)


def _shutter() -> Texture:
    canvas = Canvas((150, 152, 150))
    for slat in range(22):
        y = 0.12 + slat * 0.039
        canvas.rectangle(0.04, y, 0.96, y + 0.02, (176, 178, 176))
    canvas.rectangle(0, 0, 1, 0.1, (96, 98, 100))
    canvas.rectangle(0.4, 0.5, 0.6, 0.62, (240, 236, 220))
    return canvas.finish(5, seed=30)


def _house() -> Texture:
    canvas = Canvas((214, 204, 186))
    canvas.rectangle(0.1, 0.2, 0.42, 1, (96, 70, 50))
    for panel in range(3):
        canvas.rectangle(0.14, 0.26 + panel * 0.24, 0.38, 0.44 + panel * 0.24, (112, 84, 60))
    canvas.rectangle(0.36, 0.58, 0.39, 0.64, (220, 200, 120))
    canvas.rectangle(0.53, 0.32, 0.92, 0.72, (120, 112, 100))
    canvas.rectangle(0.55, 0.34, 0.9, 0.7, (70, 88, 104))
    canvas.polygon([(0.57, 0.7), (0.68, 0.34), (0.76, 0.34), (0.64, 0.7)], (96, 116, 132))
    for bar in range(9):
        x = 0.55 + bar * 0.04
        canvas.rectangle(x, 0.34, x + 0.006, 0.7, (190, 190, 188))
    canvas.rectangle(0.72, 0.34, 0.735, 0.7, (220, 220, 220))
    return canvas.finish(4, seed=33)


def _counter() -> Texture:
    """Draw the inside of a shop: shelves, bottles and a counter."""
    canvas, rng = Canvas((198, 168, 128)), random.Random(24)
    for shelf in range(4):
        y = 0.16 + shelf * 0.17
        canvas.rectangle(0.04, y, 0.96, y + 0.02, (120, 82, 52))
        for item in range(17):
            x, height = 0.06 + item * 0.053, 0.06 + rng.random() * 0.06
            colour = rng.choice(
                ((64, 104, 70), (236, 230, 210), (160, 60, 44), (60, 76, 120), (210, 160, 70))
            )
            canvas.rounded(x, y - height, x + 0.036, y, 0.008, colour)
    canvas.rectangle(0, 0.74, 1, 1, (134, 92, 58))
    canvas.rectangle(0, 0.72, 1, 0.76, (168, 122, 80))
    return canvas.finish(3, seed=25)
