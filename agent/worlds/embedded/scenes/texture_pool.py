"""Panels that switch between the textures of a fixed pool."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from agent.worlds.embedded.scenes.state import SceneEffect, SceneState
from agent.worlds.embedded.scenes.texture_schedule import TextureSchedule
from agent.worlds.embedded.scenes.textures.canvas import SIZE, Texture

_ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif")


def load_textures(folder: str, limit: int) -> list[Texture]:
    """Load up to `limit` images of a folder, sorted by name, cropped to square textures.

    Raises:
        ValueError: not a folder, or no image in it.
    """
    path = Path(folder)
    if not path.is_dir():
        raise ValueError(f"images: {folder} is not a folder")
    files = sorted(file for file in path.iterdir() if file.suffix.lower() in _ENDINGS)
    if not files:
        raise ValueError(f"images: {folder} holds no image ({', '.join(_ENDINGS)})")
    textures = []
    for file in files[:limit]:
        with Image.open(file) as image:
            upright = ImageOps.exif_transpose(image).convert("RGB")
        square = ImageOps.fit(upright, (SIZE, SIZE), Image.Resampling.LANCZOS).convert("RGBA")
        textures.append(np.asarray(square).copy())
    return textures


class TexturePool(SceneEffect):
    """Shows one texture of a pool on each panel, a random one after each change.

    Args:
        schedule: when each panel changes.
        first: atlas index of the first texture of the pool.
        count: textures in the pool.
    """

    def __init__(self, schedule: TextureSchedule, first: int, count: int) -> None:
        self._schedule, self._first, self._count = schedule, first, count

    def animate(self, scene_state: SceneState) -> None:
        """Choose the textures of this step."""
        scene_state.panels[:] = self._first + self._schedule.choices(scene_state.step, self._count)
        scene_state.flickering[:] = self._schedule.is_changing and self._count > 1
