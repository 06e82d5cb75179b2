"""Resizes a capture of any size to the square frame of the agent."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def shrink(pixels: bytes | bytearray, width: int, height: int, size: int) -> Image.Image:
    """Resize four-channel pixels, row by row, to size x size by averaging areas.

    A box filter weighs every pixel once, so thin lines and noise do not flicker; it is the cheapest
    filter that does so. The channels keep their order; the fourth is not transparency.
    """
    image = Image.frombuffer("RGBX", (width, height), pixels, "raw", "RGBX", 0, 1)
    return image.resize((size, size), Image.Resampling.BOX)


def from_bgrx(pixels: bytes | bytearray, width: int, height: int, size: int) -> NDArray[np.uint8]:
    """Return screen pixels (height * width * 4 bytes, BGRX) as uint8 RGB (3, size, size)."""
    # Channels are reordered after shrinking, on few pixels.
    small = np.asarray(shrink(pixels, width, height, size))
    return np.ascontiguousarray(small[:, :, 2::-1].transpose(2, 0, 1))


def from_bgr(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Return the centre square of an OpenCV image, BGR (H, W, 3), as uint8 RGB (3, size, size)."""
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = np.ascontiguousarray(image[top : top + side, left : left + side])
    small = np.asarray(Image.fromarray(square).resize((size, size), Image.Resampling.BOX))
    return np.ascontiguousarray(small[:, :, ::-1].transpose(2, 0, 1))
