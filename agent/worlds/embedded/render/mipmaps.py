"""Mipmaps and the texture atlas: distant surfaces neither alias nor cost more."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from agent.worlds.embedded.render.raster_data import Atlas

MIN_SIZE = 2
"""Side of the last mip level, texels."""
_BATCH = 8
"""Textures filtered together: enough to be fast, few enough to need little memory."""
_ALPHA_GAIN = np.float32(1.12)
"""Restores the alpha coverage that averaging loses; distant foliage would thin out otherwise."""


def level_sizes(size: int) -> list[int]:
    """Return the sides of all mip levels of a texture of side `size`, a power of two."""
    if size < MIN_SIZE or size & (size - 1):
        raise ValueError(f"a texture's side must be a power of two from {MIN_SIZE}, got {size}")
    return [size >> level for level in range(size.bit_length() - MIN_SIZE.bit_length() + 1)]


def _pack(rgba: NDArray[np.float32]) -> NDArray[np.uint32]:
    """Pack (N, S, S, 4) 0-255 into (N, S * S) 0xAABBGGRR."""
    texels = np.ascontiguousarray((rgba + 0.5).clip(0, 255).astype(np.uint8))
    return texels.view("<u4").astype(np.uint32).reshape(len(texels), -1)


def _halve(rgba: NDArray[np.float32]) -> NDArray[np.float32]:
    """Average 2 x 2 texels; colours are weighted by alpha, so hidden ones do not bleed in."""
    alpha = rgba[..., 3:]
    weighted = np.concatenate([rgba[..., :3] * alpha, alpha], axis=-1)
    mean = weighted[:, 0::2, 0::2] + weighted[:, 1::2, 0::2]
    mean += weighted[:, 0::2, 1::2]
    mean += weighted[:, 1::2, 1::2]
    mean /= 4
    mean[..., :3] /= np.maximum(mean[..., 3:], 1e-3)
    mean[..., 3] *= _ALPHA_GAIN
    halved: NDArray[np.float32] = mean.clip(0, 255)
    return halved


def build_atlas(textures: Sequence[NDArray[np.uint8]]) -> Atlas:
    """Pack square RGBA textures (S, S, 4) of one size, with all mip levels.

    Raises:
        ValueError: no texture, or one of another shape than the first.
    """
    if not textures:
        raise ValueError("an atlas needs at least one texture")
    shape = textures[0].shape
    for index, texture in enumerate(textures):
        if texture.shape != shape or shape[0] != shape[1] or shape[2] != 4:
            raise ValueError(
                f"texture {index} is {texture.shape}, expected square RGBA like {shape}"
            )
    sizes = level_sizes(shape[0])
    offsets = np.concatenate([[0], np.cumsum(np.square(sizes))])
    texels = np.zeros((len(textures), int(offsets[-1])), np.uint32)
    for first in range(0, len(textures), _BATCH):
        rows = texels[first : first + _BATCH]
        level = np.stack(textures[first : first + _BATCH]).astype(np.float32)
        for offset, size in zip(offsets, sizes, strict=False):
            rows[:, offset : offset + size * size] = _pack(level)
            if size > MIN_SIZE:
                level = _halve(level)
    return Atlas(texels, offsets[:-1].astype(np.int32), np.array(sizes, np.int32))
