"""From a captured picture of any size to the small square the agent sees."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def shrink(pixels: bytes | bytearray, width: int, height: int, size: int) -> Image.Image:
    """Resize four-channel pixels, row by row, to size x size by averaging areas.

    Every pixel counts exactly once (a box filter), so that thin things and noise do not flicker as
    they do where only some pixels are looked at, and it is the cheapest filter of which that holds.
    The channels keep their order; the fourth is not treated as transparency.
    """
    picture = Image.frombuffer("RGBX", (width, height), pixels, "raw", "RGBX", 0, 1)
    return picture.resize((size, size), Image.Resampling.BOX)


def from_bgrx(pixels: bytes | bytearray, width: int, height: int, size: int) -> NDArray[np.uint8]:
    """Return screen pixels (height * width * 4 bytes, BGRX) as uint8 RGB (3, size, size)."""
    # The channels are put in order after shrinking, where it costs next to nothing.
    small = np.asarray(shrink(pixels, width, height, size))
    return np.ascontiguousarray(small[:, :, 2::-1].transpose(2, 0, 1))


def from_bgr(picture: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Return the centre square of BGR (H, W, 3), as of OpenCV, as uint8 RGB (3, size, size)."""
    height, width = picture.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = np.ascontiguousarray(picture[top : top + side, left : left + side])
    small = np.asarray(Image.fromarray(square).resize((size, size), Image.Resampling.BOX))
    return np.ascontiguousarray(small[:, :, ::-1].transpose(2, 0, 1))
