"""From the rasteriser's buffer to a picture, counting what flickers on the way."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agent.worlds.embedded.render.jit import compiled
from agent.worlds.embedded.render.raster_data import FLICKERING, OPAQUE, Pixels


@compiled
def develop(colours: Pixels, picture: NDArray[np.uint8]) -> int:
    """Unpack colours into `picture` (3, H, W); return how many flickering pixels there are."""
    flickering = 0
    _, height, width = picture.shape
    for y in range(height):
        row, red, green, blue = colours[y], picture[0, y], picture[1, y], picture[2, y]
        for x in range(width):
            pixel = row[x]
            red[x] = np.uint8(pixel)
            green[x] = np.uint8(pixel >> np.uint32(8))
            blue[x] = np.uint8(pixel >> np.uint32(16))
            flickering += (pixel & OPAQUE) == FLICKERING
    return flickering


@compiled
def develop_finer(colours: Pixels, scale: int, picture: NDArray[np.uint8]) -> int:
    """Average scale x scale pixels into `picture` (3, H, W); return how many flickering ones."""
    flickering = 0
    _, height, width = picture.shape
    samples = np.uint32(scale * scale)
    for y in range(height):
        for x in range(width):
            red = green = blue = samples >> np.uint32(1)
            for row in range(y * scale, y * scale + scale):
                for column in range(x * scale, x * scale + scale):
                    pixel = colours[row, column]
                    red += pixel & np.uint32(255)
                    green += (pixel >> np.uint32(8)) & np.uint32(255)
                    blue += (pixel >> np.uint32(16)) & np.uint32(255)
                    flickering += (pixel & OPAQUE) == FLICKERING
            picture[0, y, x] = red // samples
            picture[1, y, x] = green // samples
            picture[2, y, x] = blue // samples
    return flickering
