"""Mip levels: a picture at every size, so that distant surfaces neither shimmer nor cost more."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from agent.worlds.embedded.render.raster_data import Atlas

SMALLEST = 2
"""Side of the last level in texels."""
_AT_ONCE = 8
"""Pictures made ready together: enough to be fast, few enough to need little memory."""
_ALPHA_GAIN = np.float32(1.12)
"""Coverage lost by averaging holes is given back, or distant foliage would thin out."""


def level_sizes(size: int) -> list[int]:
    """Sides of all levels of a texture whose side is `size`, a power of two."""
    if size < SMALLEST or size & (size - 1):
        raise ValueError(f"a texture's side must be a power of two from {SMALLEST}, got {size}")
    return [size >> level for level in range(size.bit_length() - SMALLEST.bit_length() + 1)]


def _pack(rgba: NDArray[np.float32]) -> NDArray[np.uint32]:
    """Pack (N, S, S, 4) 0-255 into (N, S * S) 0xAABBGGRR."""
    texels = np.ascontiguousarray((rgba + 0.5).clip(0, 255).astype(np.uint8))
    return texels.view("<u4").astype(np.uint32).reshape(len(texels), -1)


def _halve(rgba: NDArray[np.float32]) -> NDArray[np.float32]:
    """Average 2 x 2 texels, colours weighted by alpha so that hidden ones do not bleed in."""
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


def pack(images: Sequence[NDArray[np.uint8]]) -> Atlas:
    """Make the atlas of square RGBA pictures (S, S, 4), all of one size.

    Raises:
        ValueError: no picture, or one of another shape than the first.
    """
    if not images:
        raise ValueError("an atlas needs at least one picture")
    shape = images[0].shape
    for index, image in enumerate(images):
        if image.shape != shape or shape[0] != shape[1] or shape[2] != 4:
            raise ValueError(f"picture {index} is {image.shape}, expected square RGBA like {shape}")
    sizes = level_sizes(shape[0])
    offsets = np.concatenate([[0], np.cumsum(np.square(sizes))])
    texels = np.zeros((len(images), int(offsets[-1])), np.uint32)
    for first in range(0, len(images), _AT_ONCE):
        rows = texels[first : first + _AT_ONCE]
        level = np.stack(images[first : first + _AT_ONCE]).astype(np.float32)
        for offset, size in zip(offsets, sizes, strict=False):
            rows[:, offset : offset + size * size] = _pack(level)
            if size > SMALLEST:
                level = _halve(level)
    return Atlas(texels, offsets[:-1].astype(np.int32), np.array(sizes, np.int32))
