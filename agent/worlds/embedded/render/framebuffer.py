"""Conversion of the packed colour buffer to frames, which also counts flickering pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agent.worlds.embedded.render.jit import jit
from agent.worlds.embedded.render.raster_data import FLICKERING, OPAQUE, Pixels


@jit
def unpack(colours: Pixels, frame: NDArray[np.uint8]) -> int:
    """Unpack a colour buffer (H, W) into `frame` (3, H, W); return its flickering pixels."""
    flickering = 0
    _, height, width = frame.shape
    for y in range(height):
        row, red, green, blue = colours[y], frame[0, y], frame[1, y], frame[2, y]
        for x in range(width):
            pixel = row[x]
            red[x] = np.uint8(pixel)
            green[x] = np.uint8(pixel >> np.uint32(8))
            blue[x] = np.uint8(pixel >> np.uint32(16))
            flickering += (pixel & OPAQUE) == FLICKERING
    return flickering


@jit
def downsample(colours: Pixels, scale: int, frame: NDArray[np.uint8]) -> int:
    """Average scale x scale samples per pixel into `frame` (3, H, W) (supersampling).

    Args:
        colours: the colour buffer (H * scale, W * scale).
        scale: samples per pixel along each side.
        frame: the output.

    Returns:
        The number of flickering samples.
    """
    flickering = 0
    _, height, width = frame.shape
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
            frame[0, y, x] = red // samples
            frame[1, y, x] = green // samples
            frame[2, y, x] = blue // samples
    return flickering
