"""What the rasteriser reads: arrays of fixed dtypes, in named groups."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]
Pixels = NDArray[np.uint32]

OPAQUE = np.uint32(0xFF000000)
FLICKERING = np.uint32(0xFE000000)
"""Top byte of a drawn pixel: whether its surface changes its picture."""


class Geometry(NamedTuple):
    """Triangles in chunks; a chunk belongs to one part, which has its own pose."""

    vertices: Floats
    """(T, 3, 6): x, y, z in metres, u, v in texture repeats, light."""
    planes: Floats
    """(T, 4): outward normal n and n . p, to drop back faces before transforming anything."""
    textures: Ints
    """(T,) index into the atlas; changes when a panel switches."""
    fogs: Floats
    """(T,) share of the fog a triangle takes: 0 for the sky."""
    tags: Pixels
    """(T,) top byte written with the colour, already shifted: OPAQUE, or FLICKERING."""
    boxes: Floats
    """(C, 2, 3) lowest and highest corner of each chunk, in its part's coordinates."""
    spans: Ints
    """(C, 3) first triangle, end, part."""


class Atlas(NamedTuple):
    """Square textures of one size with all their mip levels, 0xAABBGGRR."""

    texels: Pixels
    """(N, total)."""
    offsets: Ints
    """(L,) start of each level."""
    sizes: Ints
    """(L,) side of each level in texels, powers of two."""


class Camera(NamedTuple):
    """Projections and eye positions, one per part."""

    matrices: Floats
    """(P, 3, 4) part coordinates -> clip x, y, w."""
    eyes: Floats
    """(P, 3) the eye in part coordinates."""
    near: np.float32


class Fog(NamedTuple):
    """Colour (3,) 0-255, and how distance becomes its share."""

    colour: Floats
    start: np.float32
    per_metre: np.float32
