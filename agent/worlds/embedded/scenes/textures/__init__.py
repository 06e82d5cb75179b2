"""Textures, all drawn by program: no fonts, no downloads, no licences."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from agent.worlds.embedded.scenes.textures import facades, nature, signs, sky, surfaces, windows
from agent.worlds.embedded.scenes.textures.canvas import Texture


@cache
def street_textures() -> Mapping[str, Texture]:
    """Return all textures of the street by name; drawn once, read-only."""
    drawn: dict[str, Texture] = {}
    for module in (surfaces, nature, sky, facades, windows, signs):
        drawn |= module.textures()
    for texture in drawn.values():
        texture.flags.writeable = False
    return drawn
