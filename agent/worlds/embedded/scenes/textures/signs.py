"""Signs, curtains, flags, lanterns, vending machines and a wheel."""

from __future__ import annotations

import math
import random

from agent.worlds.embedded.scenes.textures.canvas import Canvas, Colour, Texture, darker
from agent.worlds.embedded.scenes.textures.strokes import glyph, write_down

_NOREN: dict[str, tuple[Colour, str]] = {
    "n_sushi": ((30, 44, 92), "すし"),
    "n_yu": ((122, 30, 60), "ゆ"),
    "n_soba": ((70, 84, 50), "そば"),
    "n_ramen": ((178, 28, 26), "ラメン"),
    "n_tea": ((52, 92, 74), "お茶"),
}
_SIGNS: dict[str, tuple[Colour, Colour, str]] = {
    "s_ramen": ((236, 226, 196), (190, 30, 24), "ラーメン"),
    "s_sake": ((24, 30, 60), (250, 240, 200), "日本酒"),
    "s_tea": ((60, 110, 60), (250, 250, 230), "お茶"),
    "s_soba": ((250, 244, 228), (30, 30, 40), "そば"),
    "s_meat": ((200, 40, 44), (255, 246, 220), "肉屋"),
    "s_fish": ((30, 84, 130), (250, 250, 244), "魚屋"),
    "s_book": ((40, 90, 160), (255, 255, 255), "本"),
    "s_yu": ((250, 250, 250), (20, 90, 160), "ゆ"),
    "s_sushi": ((20, 20, 24), (255, 214, 120), "すし"),
    "s_rice": ((244, 236, 210), (60, 70, 50), "米屋"),
    "s_flower": ((236, 210, 220), (170, 50, 100), "花"),
    "s_bread": ((232, 198, 140), (110, 60, 30), "パン"),
    "s_shrine": ((40, 36, 34), (230, 196, 110), "大山神社"),
}
_LANTERNS: dict[str, tuple[Colour, str]] = {
    "lan_red": ((236, 66, 40), "酒"),
    "lan_white": ((252, 236, 196), "祭"),
}
_FLAGS: dict[str, tuple[Colour, Colour, str]] = {
    "nob1": ((246, 240, 224), (196, 30, 30), "ラーメン"),
    "nob2": ((200, 36, 34), (255, 250, 235), "お祭"),
    "nob3": ((40, 80, 60), (250, 250, 230), "お茶"),
}
_MACHINES: dict[str, Colour] = {
    "vend_r": (206, 34, 40),
    "vend_w": (236, 238, 240),
    "vend_b": (30, 80, 170),
}
_CANS = (
    (220, 40, 40), (40, 120, 60), (40, 80, 180), (240, 190, 40), (90, 50, 30), (240, 240, 240),
    (240, 130, 40), (120, 190, 220),
)  # fmt: skip


def textures() -> dict[str, Texture]:
    """Draw every sign, curtain, flag, lantern and vending machine."""
    drawn = {name: _noren(*style) for name, style in _NOREN.items()}
    drawn |= {name: _sign(*style) for name, style in _SIGNS.items()}
    drawn |= {name: _lantern(*style) for name, style in _LANTERNS.items()}
    drawn |= {name: _flag(*style) for name, style in _FLAGS.items()}
    drawn |= {
        name: _machine(colour, seed) for seed, (name, colour) in enumerate(_MACHINES.items(), 5)
    }
    drawn["menu"] = _menu()
    drawn["wheel"] = _wheel()
    return drawn


def _noren(cloth: Colour, text: str) -> Texture:
    """Draw a shop curtain, slit between the characters."""
    canvas = Canvas(cloth)
    canvas.rectangle(0, 0, 1, 0.1, darker(cloth, 0.7))
    count = len(text)
    width = min(0.36, 0.8 / count)
    for column, character in enumerate(text):
        left = (column + 0.5) / count - width / 2
        glyph(canvas, character, left, 0.3, width, 0.44, (248, 244, 232), 0.035)
    for slit in range(1, max(count, 2)):
        x = slit / max(count, 2)
        canvas.cut(x - 0.012, 0.3 if count > 1 else 0.8, x + 0.012, 1)
    return canvas.finish()


def _sign(ground: Colour, ink: Colour, text: str) -> Texture:
    """Draw a framed sign; it hangs three times as tall as it is wide, so letters are squashed."""
    canvas = Canvas(ground)
    for x0, y0, x1, y1 in ((0, 0, 1, 0.03), (0, 0.97, 1, 1), (0, 0, 0.04, 1), (0.96, 0, 1, 1)):
        canvas.rectangle(x0, y0, x1, y1, ink)
    write_down(canvas, text, 0.16, 0.07, 0.68, 0.87, ink, 0.055)
    return canvas.finish()


def _lantern(paper: Colour, text: str) -> Texture:
    """Draw the paper once around, brightest in the middle, with the text on two sides."""
    canvas = Canvas(paper)
    for rib in range(10):
        y = 0.08 + rib * 0.084
        brightness = 1.12 - 0.35 * abs(rib - 4.5) / 4.5
        canvas.rectangle(0, y, 1, y + 0.084, darker(paper, brightness))
        canvas.rectangle(0, y, 1, y + 0.012, darker(paper, 0.6))
    for left in (0.1, 0.6):
        write_down(canvas, text, left, 0.18, 0.3, 0.68, (30, 16, 14), 0.035)
    canvas.rectangle(0, 0, 1, 0.08, (30, 26, 26))
    canvas.rectangle(0, 0.92, 1, 1, (30, 26, 26))
    return canvas.finish()


def _flag(cloth: Colour, ink: Colour, text: str) -> Texture:
    canvas = Canvas(cloth)
    canvas.rectangle(0, 0, 1, 0.06, ink)
    canvas.rectangle(0, 0.94, 1, 1, ink)
    write_down(canvas, text, 0.14, 0.1, 0.72, 0.82, ink, 0.07)
    return canvas.finish()


def _machine(body: Colour, seed: int) -> Texture:
    canvas, rng = Canvas(body), random.Random(seed)
    canvas.rectangle(0.07, 0.06, 0.93, 0.56, (244, 248, 250))
    for row in range(3):
        for column in range(7):
            x, y = 0.1 + column * 0.118, 0.09 + row * 0.155
            canvas.rounded(x, y, x + 0.085, y + 0.11, 0.02, rng.choice(_CANS))
            canvas.rectangle(x + 0.01, y + 0.04, x + 0.075, y + 0.065, (255, 255, 255))
            canvas.rectangle(x, y + 0.122, x + 0.085, y + 0.135, (90, 180, 240))
    canvas.rectangle(0.07, 0.6, 0.93, 0.72, darker(body, 0.8))
    canvas.rectangle(0.7, 0.6, 0.88, 0.72, (40, 44, 48))
    canvas.rectangle(0.12, 0.8, 0.88, 0.93, (34, 36, 40))
    return canvas.finish()


def _menu() -> Texture:
    """Draw a board with hanging strips of dishes and prices."""
    canvas = Canvas((226, 206, 168))
    for strip, text in enumerate(("そば", "すし", "ラーメン", "日本酒", "お茶", "肉")):
        left = 0.04 + strip * 0.16
        canvas.rectangle(left, 0.06, left + 0.13, 0.94, (250, 244, 226))
        write_down(canvas, text, left + 0.025, 0.1, 0.08, 0.12 * len(text), (40, 30, 26), 0.014)
        write_down(canvas, "八百円", left + 0.035, 0.66, 0.06, 0.26, (170, 40, 30), 0.011)
    return canvas.finish(3, seed=60)


def _wheel() -> Texture:
    """Draw a bicycle wheel that fills the texture, see-through between the spokes."""
    canvas = Canvas(None)
    for spoke in range(9):
        angle = math.pi * spoke / 9
        dx, dy = 0.42 * math.cos(angle), 0.42 * math.sin(angle)
        canvas.line([(0.5 - dx, 0.5 - dy), (0.5 + dx, 0.5 + dy)], (170, 172, 176), 0.02)
    canvas.arc(0.5, 0.5, 0.48, 0.48, 0, 360, (34, 34, 36), 0.07)
    canvas.ellipse(0.5, 0.5, 0.07, 0.07, (120, 122, 126))
    return canvas.finish()
