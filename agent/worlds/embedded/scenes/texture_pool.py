"""Panels that show one of a fixed set of pictures at a time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from agent.worlds.embedded.scenes.state import SceneEffect, SceneState
from agent.worlds.embedded.scenes.texture_schedule import PictureClock
from agent.worlds.embedded.scenes.textures.canvas import SIZE, Picture

_ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif")


def load_pictures(folder: str, limit: int) -> list[Picture]:
    """Read up to `limit` pictures of a folder, by name, cut to squares of the texture's size.

    Raises:
        ValueError: no folder, or no picture in it.
    """
    path = Path(folder)
    if not path.is_dir():
        raise ValueError(f"images: {folder} is not a folder")
    files = sorted(file for file in path.iterdir() if file.suffix.lower() in _ENDINGS)
    if not files:
        raise ValueError(f"images: {folder} holds no picture ({', '.join(_ENDINGS)})")
    pictures = []
    for file in files[:limit]:
        with Image.open(file) as image:
            upright = ImageOps.exif_transpose(image).convert("RGB")
        square = ImageOps.fit(upright, (SIZE, SIZE), Image.Resampling.LANCZOS).convert("RGBA")
        pictures.append(np.asarray(square).copy())
    return pictures


class PooledPictures(SceneEffect):
    """Shows on each panel one picture of a pool, another one with each change.

    Args:
        clock: when each panel changes.
        first: index of the pool's first picture in the atlas.
        count: pictures in the pool.
    """

    def __init__(self, clock: PictureClock, first: int, count: int) -> None:
        self._clock, self._first, self._count = clock, first, count

    def arrange(self, scene_state: SceneState) -> None:
        """Choose the pictures of this moment."""
        scene_state.panels[:] = self._first + self._clock.choices(scene_state.step, self._count)
        scene_state.flickering[:] = self._clock.runs and self._count > 1
