"""Pictures on surfaces, all drawn by program: no fonts, no downloads, no licences."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from agent.worlds.embedded.scenes.textures import (
    facades,
    nature,
    signs,
    sky,
    surfaces,
    windows,
)
from agent.worlds.embedded.scenes.textures.canvas import Picture


@cache
def street_pictures() -> Mapping[str, Picture]:
    """Draw everything the street shows, by texture name; drawn once, and not to be written to."""
    drawn: dict[str, Picture] = {}
    for subject in (surfaces, nature, sky, facades, windows, signs):
        drawn |= subject.pictures()
    for picture in drawn.values():
        picture.flags.writeable = False
    return drawn
