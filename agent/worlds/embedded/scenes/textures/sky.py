"""The panorama around the street: evening light, clouds, hills and a mountain in the north."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from agent.worlds.embedded.scenes.textures.canvas import SIZE, Texture

PANELS = 8
"""Textures side by side around the horizon, from the east to the left."""
_WIDTH = SIZE * PANELS
_NORTH = 90.0
"""Degrees to the left of east."""
_TOP = np.array([96.0, 140.0, 206.0])
_MIDDLE = np.array([186.0, 206.0, 232.0])
_HORIZON = np.array([255.0, 224.0, 190.0])
_CLOUD = np.array([255.0, 248.0, 242.0])
_RIDGES = (
    (0.085, 0.020, 1, (130, 150, 164)),
    (0.060, 0.018, 2, (96, 124, 112)),
    (0.035, 0.012, 3, (66, 98, 74)),
)
"""Height, roughness, seed and colour of the hills, far to near."""

Floats = NDArray[np.float64]


def textures() -> dict[str, Texture]:
    """Draw the panorama, cut into `sky0` ... `sky7`."""
    azimuth = np.arange(_WIDTH) / _WIDTH * 360.0
    elevation = (1.0 - np.arange(SIZE) / SIZE)[:, np.newaxis]
    sky = _gradient(elevation)
    density = _clouds(elevation)[..., np.newaxis] * 0.85
    sky = sky * (1.0 - density) + _CLOUD * density
    _mountain(sky, azimuth, elevation)
    for height, roughness, seed, colour in _RIDGES:
        sky[elevation < _ridge(azimuth, height, roughness, seed)] = colour
    opaque = np.full((SIZE, SIZE, 1), 255, np.uint8)
    strips = np.split(np.clip(sky, 0, 255).astype(np.uint8), PANELS, axis=1)
    return {f"sky{i}": np.concatenate([strip, opaque], 2) for i, strip in enumerate(strips)}


def _gradient(elevation: Floats) -> Floats:
    low = np.clip(elevation / 0.35, 0, 1)[..., np.newaxis]
    high = np.clip((elevation - 0.35) / 0.65, 0, 1)[..., np.newaxis]
    column = _HORIZON + (_MIDDLE - _HORIZON) * low + (_TOP - _MIDDLE) * high
    return np.repeat(column, _WIDTH, axis=1)


def _clouds(elevation: Floats) -> Floats:
    rng = np.random.default_rng(8)

    def layer(columns: int, rows: int) -> Floats:
        values = rng.random((rows, columns))
        image = Image.fromarray((np.hstack([values, values[:, :1]]) * 255).astype(np.uint8))
        return np.asarray(image.resize((_WIDTH, SIZE), Image.Resampling.BICUBIC), float) / 255

    mist = 0.5 * layer(24, 8) + 0.3 * layer(60, 20) + 0.2 * layer(150, 44)
    fade = np.clip((elevation - 0.14) * 5, 0, 1) * np.clip((1.05 - elevation) * 3, 0, 1)
    faded: Floats = np.clip((mist - 0.53) * 5, 0, 1) * fade
    return faded


def _mountain(sky: Floats, azimuth: Floats, elevation: Floats) -> None:
    """Draw a snow-capped cone in the north."""
    aside = np.abs((azimuth - _NORTH + 180) % 360 - 180)
    height = np.clip(0.357 * np.exp(-((aside / 15) ** 1.25)), 0, 0.30)
    cone = elevation < height + 0.02
    snow_line = 0.205 + 0.02 * np.sin(azimuth * 1.3) + 0.012 * np.sin(azimuth * 3.1)
    sky[cone] = (118, 138, 176)
    sky[cone & (elevation > snow_line)] = (246, 246, 250)


def _ridge(azimuth: Floats, height: float, roughness: float, seed: int) -> Floats:
    rng = np.random.default_rng(seed)
    line = np.full_like(azimuth, height)
    for waves in (3, 5, 9, 17, 31, 60):
        phase = rng.random() * 2 * np.pi
        line += np.sin(np.radians(azimuth) * waves + phase) / waves**0.8 * roughness
    return line[np.newaxis]
