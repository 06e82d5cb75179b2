"""The food room: walls, floor and ceiling are panels whose pictures of food keep changing."""

from __future__ import annotations

import random

import numpy as np

from agent.worlds.embedded.render.mesh import Corners, Mesh
from agent.worlds.embedded.scenes.base import Atmosphere, BuiltScene, Scene, Start
from agent.worlds.embedded.scenes.procedural_food import SIZE as PROCEDURAL_SIZE
from agent.worlds.embedded.scenes.procedural_food import ProceduralTextures
from agent.worlds.embedded.scenes.state import SceneEffect
from agent.worlds.embedded.scenes.texture_pool import TexturePool, load_textures
from agent.worlds.embedded.scenes.texture_schedule import TextureSchedule, check_rate
from agent.worlds.embedded.scenes.textures import food
from agent.worlds.embedded.scenes.textures.canvas import Texture

_PANEL = 2.0
"""Side of a panel, metres."""
_HEIGHT = 4.0


class FoodRoom(Scene):
    """A room of panels that flicker through pictures of food.

    Args:
        images_per_second: rate at which each panel changes, 0 to 30; 0: never.
        pool: number of different pictures; null: a new one at every change.
        images: folder of images to show instead of food; at most `pool` of them are used.
        width: of the room in panels of 2 m.
        length: of the room in panels of 2 m.

    Raises:
        ValueError: a value out of range, or a folder without images.
    """

    def __init__(
        self,
        images_per_second: float = 10.0,
        pool: int | None = 50,
        images: str | None = None,
        width: int = 6,
        length: int = 8,
    ) -> None:
        if pool is not None and pool < 1:
            raise ValueError(f"pool must be at least 1, or null for new pictures, got {pool}")
        if images is not None and pool is None:
            raise ValueError("pool must be a number when the pictures come from a folder")
        if width < 1 or length < 1:
            raise ValueError(f"width and length must be at least 1, got {width} and {length}")
        self.images_per_second = check_rate(images_per_second)
        self.pool = pool
        self.images = images
        self.width = width
        self.length = length

    def build(self, seed: int) -> BuiltScene:
        """Build the room; the seed decides the pictures and their order."""
        mesh = Mesh()
        panels = self._panel_corners()
        for corners in panels:
            mesh.quad(corners, "panel0", 1.0, panel=mesh.panel())
        schedule = TextureSchedule(len(panels), self.images_per_second, seed)
        textures, effect = self._textures(schedule, panels, seed)
        half, length = self.width * _PANEL / 2, self.length * _PANEL
        count = len(textures)
        return BuiltScene(
            mesh=mesh,
            textures={f"panel{number}": texture for number, texture in enumerate(textures)},
            bounds=(-half, 0.0, half, length),
            start=Start(0.0, min(3.0, length / 2)),
            atmosphere=Atmosphere(zenith=(0, 0, 0), fog_start=200.0, fog_end=201.0),
            panels=[f"panel{number % count}" for number in range(len(panels))],
            effects=[effect],
        )

    def _textures(
        self, schedule: TextureSchedule, panels: list[Corners], seed: int
    ) -> tuple[list[Texture], SceneEffect]:
        """Return the initial textures and the effect that changes them."""
        if self.pool is None:
            blank = np.full((PROCEDURAL_SIZE, PROCEDURAL_SIZE, 4), 255, np.uint8)
            centres = np.array(panels, np.float64).mean(axis=1)
            return [blank] * len(panels), ProceduralTextures(schedule, centres, seed)
        if self.images is not None:
            textures = load_textures(self.images, self.pool)
        else:
            textures = food_textures(self.pool, seed)
        return textures, TexturePool(schedule, 0, len(textures))

    def _panel_corners(self) -> list[Corners]:
        """Return the corners of each panel: floor and ceiling, then the four walls."""
        half, length, top, s = self.width * _PANEL / 2, self.length * _PANEL, _HEIGHT, _PANEL
        panels: list[Corners] = []
        for column in range(self.width):
            for row in range(self.length):
                x, y = column * s - half, row * s
                panels.append(((x, y, 0), (x + s, y, 0), (x + s, y + s, 0), (x, y + s, 0)))
                panels.append(((x, y + s, top), (x + s, y + s, top), (x + s, y, top), (x, y, top)))
        for z0, z1 in ((0.0, s), (s, top)):
            for row in range(self.length):
                y0, y1, w = row * s, row * s + s, half
                panels.append(((-w, y0, z0), (-w, y1, z0), (-w, y1, z1), (-w, y0, z1)))
                panels.append(((w, y1, z0), (w, y0, z0), (w, y0, z1), (w, y1, z1)))
            for column in range(self.width):
                x0 = column * s - half
                x1, y = x0 + s, length
                panels.append(((x1, 0, z0), (x0, 0, z0), (x0, 0, z1), (x1, 0, z1)))
                panels.append(((x0, y, z0), (x1, y, z0), (x1, y, z1), (x0, y, z1)))
        return panels


def food_textures(count: int, seed: int) -> list[Texture]:
    """Draw textures of all kinds of food in turn."""
    rng, kinds = random.Random(seed), sorted(food.KINDS)
    return [food.texture(rng, kinds[number % len(kinds)]) for number in range(count)]
