"""Inputs of the rasterizer: arrays of fixed dtypes, in named tuples."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]
Pixels = NDArray[np.uint32]

OPAQUE = np.uint32(0xFF000000)
FLICKERING = np.uint32(0xFE000000)
"""Top byte of a pixel: whether its surface changes its texture."""


class Geometry(NamedTuple):
    """Triangles in chunks; each chunk belongs to one part, and each part has its own pose."""

    vertices: Floats
    """(T, 3, 6): x, y, z in metres, u, v in texture repeats, light."""
    planes: Floats
    """(T, 4): outward normal n and n . p, for back-face culling before the transform."""
    textures: Ints
    """(T,) index into the atlas; changes when a panel switches its texture."""
    fogs: Floats
    """(T,) factor on the fog of each triangle; 0 for the sky."""
    tags: Pixels
    """(T,) top byte written with the colour, shifted: OPAQUE or FLICKERING."""
    boxes: Floats
    """(C, 2, 3) axis-aligned bounding box of each chunk, in part coordinates."""
    spans: Ints
    """(C, 3) first triangle, end (exclusive), part."""


class Atlas(NamedTuple):
    """Square textures of one size with all mip levels, 0xAABBGGRR."""

    texels: Pixels
    """(N, total)."""
    offsets: Ints
    """(L,) start of each level."""
    sizes: Ints
    """(L,) side of each level, texels, powers of two."""


class Camera(NamedTuple):
    """Projection matrix and camera position per part."""

    matrices: Floats
    """(P, 3, 4) part coordinates to clip-space x, y, w."""
    positions: Floats
    """(P, 3) the camera in part coordinates."""
    near: np.float32
    """Distance of the near plane, metres."""


class Fog(NamedTuple):
    """Linear fog: colour (3,) 0-255, start in metres, density per metre."""

    colour: Floats
    start: np.float32
    per_metre: np.float32
