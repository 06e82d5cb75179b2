"""Procedural textures of food, new at every change: dishes and tables recombined and recoloured."""

from __future__ import annotations

import random

import numpy as np
from numpy.typing import NDArray

from agent.worlds.embedded.physics import EYE_HEIGHT
from agent.worlds.embedded.render.jit import jit
from agent.worlds.embedded.scenes.state import SceneEffect, SceneState
from agent.worlds.embedded.scenes.texture_schedule import TextureSchedule
from agent.worlds.embedded.scenes.textures import food

SIZE = 64
"""Side of a procedural texture, texels; small, because each is composed when it is due."""
_VARIANTS = 4
"""Drawings of each kind of food."""
_TABLES = 32
_MARGIN = 2.0
"""Metres outside the view within which panels are still composed."""

Layers = NDArray[np.uint8]


@jit
def _random(state: NDArray[np.uint64]) -> float:
    """Return the next number of a splitmix64 sequence, in [0, 1)."""
    state[0] += np.uint64(0x9E3779B97F4A7C15)
    mixed = state[0]
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed = mixed ^ (mixed >> np.uint64(31))
    return float(mixed >> np.uint64(11)) * 2.0**-53


@jit
def compose_texture(
    draw: NDArray[np.uint64],
    tables: Layers,
    dishes: Layers,
    sizes: NDArray[np.int32],
    offsets: NDArray[np.int32],
    texels: NDArray[np.uint32],
) -> None:
    """Compose a random texture with its mip levels.

    Args:
        draw: the seed (1,), advanced in place.
        tables: backgrounds (N, S, S, 4).
        dishes: foregrounds (M, S, S, 4).
        sizes: sides of the mip levels (L,).
        offsets: starts of the mip levels (L,).
        texels: the output (total,).
    """
    size = sizes[0]
    table = tables[int(_random(draw) * len(tables))]
    dish = dishes[int(_random(draw) * len(dishes))]
    gains = np.empty((2, 3))
    for layer in range(2):
        for channel in range(3):
            gains[layer, channel] = 1.25 - (0.9 - 0.5 * layer) * _random(draw)
    turn = (_random(draw) - 0.5) * 1.6
    zoom = 0.85 + 0.35 * _random(draw)
    cosine, sine = np.cos(turn) * zoom, np.sin(turn) * zoom
    mirrored = -1.0 if _random(draw) < 0.5 else 1.0
    middle_x = size * (0.5 + 0.16 * (_random(draw) - 0.5))
    middle_y = size * (0.5 + 0.16 * (_random(draw) - 0.5))
    shift = int(_random(draw) * size)
    for y in range(size):
        for x in range(size):
            dx, dy = mirrored * (x - middle_x), y - middle_y
            column = int(cosine * dx - sine * dy + size * 0.5)
            row = int(sine * dx + cosine * dy + size * 0.5)
            alpha = 0.0
            if 0 <= column < size and 0 <= row < size:
                alpha = dish[row, column, 3] / 255.0
            pixel = np.uint32(0xFF000000)
            for channel in range(3):
                value = table[y, (x + shift) % size, channel] * gains[0, channel] * (1.0 - alpha)
                if alpha > 0.0:
                    value += dish[row, column, channel] * gains[1, channel] * alpha
                pixel |= np.uint32(min(255, int(value))) << np.uint32(8 * channel)
            texels[y * size + x] = pixel
    for level in range(1, len(sizes)):
        _halve(texels, offsets[level - 1], offsets[level], sizes[level])


@jit
def _halve(texels: NDArray[np.uint32], above: int, below: int, size: int) -> None:
    """Average a mip level of opaque texels into the next, of side `size`."""
    for y in range(size):
        for x in range(size):
            first = above + 2 * y * 2 * size + 2 * x
            pixel = np.uint32(0xFF000000)
            for channel in range(3):
                shift = np.uint32(8 * channel)
                total = np.uint32(2)
                for index in (first, first + 1, first + 2 * size, first + 2 * size + 1):
                    total += (texels[index] >> shift) & np.uint32(255)
                pixel |= (total >> np.uint32(2)) << shift
            texels[below + y * size + x] = pixel


def _layers(textures: list[NDArray[np.uint8]]) -> Layers:
    """Downsample textures to (N, SIZE, SIZE, 4)."""
    step = textures[0].shape[0] // SIZE
    stack = np.stack(textures).astype(np.uint16)
    small = sum(stack[:, i::step, j::step] for i in range(step) for j in range(step))
    return np.ascontiguousarray((np.asarray(small) // (step * step)).astype(np.uint8))


class ProceduralTextures(SceneEffect):
    """Composes a new texture for each panel whenever it is due.

    Only panels in front of the body are composed; the others follow when they come into view.

    Args:
        schedule: when each panel changes.
        centres: of the panels (N, 3).
        seed: of the dishes and tables.
    """

    def __init__(self, schedule: TextureSchedule, centres: NDArray[np.float64], seed: int) -> None:
        rng = random.Random(seed)
        self._schedule = schedule
        self._centres = centres
        self._tables = _layers([food.table(rng) for _ in range(_TABLES)])
        kinds = sorted(food.KINDS) * _VARIANTS
        self._dishes = _layers([food.dish(rng, kind) for kind in kinds])
        self._composed = np.full(len(centres), -1, np.int64)

    def animate(self, scene_state: SceneState) -> None:
        """Compose what is due and may be visible."""
        changes = self._schedule.changes(scene_state.step)
        due = np.flatnonzero((changes != self._composed) & self._in_front(scene_state))
        draws = self._schedule.draws(scene_state.step)
        atlas = scene_state.atlas
        for panel in due.tolist():
            compose_texture(
                draws[panel : panel + 1].copy(),
                self._tables, self._dishes, atlas.sizes, atlas.offsets,
                atlas.texels[scene_state.panels[panel]],
            )  # fmt: skip
        self._composed[due] = changes[due]
        scene_state.flickering[:] = self._schedule.is_changing

    def _in_front(self, scene_state: SceneState) -> NDArray[np.bool_]:
        body = scene_state.body
        offset = self._centres - (body.x, body.y, body.z + EYE_HEIGHT)
        sine, cosine = np.sin(body.heading), np.cos(body.heading)
        ahead = offset[:, 0] * sine + offset[:, 1] * cosine
        aside = np.abs(offset[:, 0] * cosine - offset[:, 1] * sine)
        inside: NDArray[np.bool_] = (ahead > -_MARGIN) & (aside < 2.0 * ahead + 2.0 * _MARGIN)
        return inside
