"""The food room: a room papered with pictures of food, each replaced again and again."""

from __future__ import annotations

import random

import numpy as np

from agent.worlds.embedded.render.mesh import Corners, Mesh
from agent.worlds.embedded.scenes.base import Air, BuiltScene, Scene, Start
from agent.worlds.embedded.scenes.procedural_food import SIZE as FRESH_SIZE
from agent.worlds.embedded.scenes.procedural_food import FreshPictures
from agent.worlds.embedded.scenes.state import SceneEffect
from agent.worlds.embedded.scenes.texture_pool import PooledPictures, load_pictures
from agent.worlds.embedded.scenes.texture_schedule import PictureClock
from agent.worlds.embedded.scenes.textures import food
from agent.worlds.embedded.scenes.textures.canvas import Picture

_PANEL = 2.0
"""Side of a panel, metres."""
_HEIGHT = 4.0


class FoodRoom(Scene):
    """A room whose walls, floor and ceiling are panels that flicker through pictures of food.

    Args:
        images_per_second: how often each panel is replaced, 0 to 30; 0 keeps still images.
        pool: how many different pictures there are; null shows a new one every time.
        images: folder of pictures to show instead of food; at most `pool` of them are taken.
        width: of the room in panels of 2 m.
        length: of the room in panels of 2 m.

    Raises:
        ValueError: a value out of range, or a folder without pictures.
    """

    def __init__(
        self,
        images_per_second: float = 10.0,
        pool: int | None = 50,
        images: str | None = None,
        width: int = 6,
        length: int = 8,
    ) -> None:
        PictureClock(0, images_per_second, 0)
        if pool is not None and pool < 1:
            raise ValueError(f"pool must be at least 1, or null for fresh pictures, got {pool}")
        if images is not None and pool is None:
            raise ValueError("pool must be a number when the pictures come from a folder")
        if width < 1 or length < 1:
            raise ValueError(f"width and length must be at least 1, got {width} and {length}")
        self.images_per_second = images_per_second
        self.pool = pool
        self.images = images
        self.width = width
        self.length = length

    def build(self, seed: int) -> BuiltScene:
        """Draw the pictures and paper the room; the seed decides the pictures and their order."""
        mesh = Mesh()
        corners = self._corners()
        for scene in corners:
            mesh.quad(scene, "panel0", 1.0, panel=mesh.panel())
        clock = PictureClock(len(corners), self.images_per_second, seed)
        pictures, effect = self._pictures(clock, corners, seed)
        half, length = self.width * _PANEL / 2, self.length * _PANEL
        count = len(pictures)
        return BuiltScene(
            mesh=mesh,
            images={f"panel{number}": picture for number, picture in enumerate(pictures)},
            bounds=(-half, 0.0, half, length),
            start=Start(0.0, min(3.0, length / 2)),
            air=Air(zenith=(0, 0, 0), fog_start=200.0, fog_end=201.0),
            panels=[f"panel{number % count}" for number in range(len(corners))],
            effects=[effect],
        )

    def _pictures(
        self, clock: PictureClock, corners: list[Corners], seed: int
    ) -> tuple[list[Picture], SceneEffect]:
        """Return the pictures at the start and what replaces them."""
        if self.pool is None:
            blank = np.full((FRESH_SIZE, FRESH_SIZE, 4), 255, np.uint8)
            centres = np.array(corners, np.float64).mean(axis=1)
            return [blank] * len(corners), FreshPictures(clock, centres, seed)
        if self.images is not None:
            pictures = load_pictures(self.images, self.pool)
        else:
            pictures = food_pictures(self.pool, seed)
        return pictures, PooledPictures(clock, 0, len(pictures))

    def _corners(self) -> list[Corners]:
        """Where each panel lies: floor and ceiling, then the four walls."""
        half, length, top, s = self.width * _PANEL / 2, self.length * _PANEL, _HEIGHT, _PANEL
        scenes: list[Corners] = []
        for column in range(self.width):
            for row in range(self.length):
                x, y = column * s - half, row * s
                scenes.append(((x, y, 0), (x + s, y, 0), (x + s, y + s, 0), (x, y + s, 0)))
                scenes.append(((x, y + s, top), (x + s, y + s, top), (x + s, y, top), (x, y, top)))
        for z0, z1 in ((0.0, s), (s, top)):
            for row in range(self.length):
                y0, y1, w = row * s, row * s + s, half
                scenes.append(((-w, y0, z0), (-w, y1, z0), (-w, y1, z1), (-w, y0, z1)))
                scenes.append(((w, y1, z0), (w, y0, z0), (w, y0, z1), (w, y1, z1)))
            for column in range(self.width):
                x0 = column * s - half
                x1, y = x0 + s, length
                scenes.append(((x1, 0, z0), (x0, 0, z0), (x0, 0, z1), (x1, 0, z1)))
                scenes.append(((x0, y, z0), (x1, y, z0), (x1, y, z1), (x0, y, z1)))
        return scenes


def food_pictures(count: int, seed: int) -> list[Picture]:
    """Draw pictures of all kinds of food in turn."""
    rng, kinds = random.Random(seed), sorted(food.KINDS)
    return [food.picture(rng, kinds[number % len(kinds)]) for number in range(count)]
