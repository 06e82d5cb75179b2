"""Leaves and blossom."""

from __future__ import annotations

import math
import random

from agent.worlds.embedded.scenes.textures.canvas import Canvas, Colour, Texture, blend, darker

_LEAVES = 520


def textures() -> dict[str, Texture]:
    """Draw every plant."""
    return {
        "sakura": _foliage((255, 214, 226), (238, 150, 182), 50),
        "sakura2": _foliage((255, 226, 234), (246, 176, 200), 51),
        "leaf": _foliage((86, 130, 66), (50, 92, 48), 52),
        "leaf2": _foliage((120, 150, 70), (62, 104, 52), 53),
        "bamboo": _bamboo(),
        "flowers": _flowers(),
        "petals": _petals(),
        "petal": _petal(),
    }


def _foliage(light: Colour, dark: Colour, seed: int) -> Texture:
    """Draw a round crown with holes in it."""
    canvas, rng = Canvas(None), random.Random(seed)
    for _ in range(_LEAVES):
        angle, distance = rng.random() * math.tau, rng.random() ** 0.6 * 0.42
        x, y = 0.5 + math.cos(angle) * distance * 1.05, 0.5 + math.sin(angle) * distance
        size = 0.018 + rng.random() * 0.03
        colour = blend(light, dark, rng.random())
        canvas.ellipse(x, y, size, size, darker(colour, 1.0 - 0.12 * (y - 0.2)))
    return canvas.finish()


def _bamboo() -> Texture:
    canvas, rng = Canvas(None), random.Random(54)
    for stem in range(7):
        x = 0.06 + stem * 0.145
        colour = blend((122, 160, 70), (84, 128, 60), rng.random())
        canvas.rectangle(x, 0, x + 0.035, 1, colour)
        for joint in range(5):
            y = (joint + rng.random()) / 5
            canvas.rectangle(x, y, x + 0.035, y + 0.012, (70, 100, 46))
    for _ in range(150):
        x, y = rng.random(), rng.random() * 0.75
        angle = rng.random() * math.tau
        tip = (x + 0.09 * math.cos(angle), y + 0.06 * abs(math.sin(angle)))
        canvas.line([(x, y), tip], blend((96, 150, 60), (60, 110, 46), rng.random()), 0.016)
    return canvas.finish()


def _flowers() -> Texture:
    canvas, rng = Canvas(None), random.Random(55)
    for _ in range(240):
        x, y = 0.06 + rng.random() * 0.88, 0.35 + rng.random() * 0.6
        canvas.ellipse(x, y, 0.03, 0.03, blend((70, 120, 60), (44, 88, 44), rng.random()))
    for _ in range(46):
        x, y = 0.08 + rng.random() * 0.84, 0.3 + rng.random() * 0.5
        colour = rng.choice(((240, 90, 110), (250, 210, 80), (250, 250, 245), (190, 120, 210)))
        canvas.ellipse(x, y, 0.034, 0.034, colour)
        canvas.ellipse(x, y, 0.012, 0.012, (250, 230, 150))
    return canvas.finish()


def _petals() -> Texture:
    """Draw petals scattered over the ground."""
    canvas, rng = Canvas(None), random.Random(56)
    for _ in range(150):
        size = 0.006 + rng.random() * 0.008
        colour = (250, 200 + rng.randrange(30), 214)
        canvas.ellipse(rng.random(), rng.random(), size, size * 0.7, colour)
    return canvas.finish()


def _petal() -> Texture:
    """Draw one petal that fills the texture."""
    canvas = Canvas(None)
    canvas.ellipse(0.5, 0.5, 0.48, 0.34, (252, 212, 224))
    canvas.ellipse(0.38, 0.5, 0.22, 0.2, (246, 184, 206))
    return canvas.finish()
