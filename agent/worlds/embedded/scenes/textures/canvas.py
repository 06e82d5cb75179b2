"""A canvas for square textures in unit coordinates (x right, y down), drawn supersampled."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

SIZE = 128
"""Side of a finished texture in texels."""
Colour = tuple[int, int, int]
Texture = NDArray[np.uint8]
"""(SIZE, SIZE, 4) RGBA."""


def darker(colour: Colour, factor: float) -> Colour:
    """Scale a colour; a factor above 1 lightens it."""
    red, green, blue = (max(0, min(255, int(value * factor))) for value in colour)
    return red, green, blue


def blend(first: Colour, second: Colour, share: float) -> Colour:
    """Mix two colours, `share` of the second."""
    red, green, blue = (
        int(a * (1.0 - share) + b * share) for a, b in zip(first, second, strict=True)
    )
    return red, green, blue


class Canvas:
    """Drawing operations on one texture.

    Args:
        ground: background colour; None: transparent.
        supersample: drawn pixels per texel along each side.
    """

    def __init__(self, ground: Colour | None, supersample: int = 4) -> None:
        self._supersample = supersample
        self._side = SIZE * supersample
        fill = (0, 0, 0, 0) if ground is None else (*ground, 255)
        self._image = Image.new("RGBA", (self._side, self._side), fill)
        self._draw = ImageDraw.Draw(self._image)

    def _points(self, points: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
        return [(x * self._side, y * self._side) for x, y in points]

    def rectangle(self, x0: float, y0: float, x1: float, y1: float, colour: Colour) -> None:
        """Fill a rectangle."""
        self._draw.rectangle(self._points([(x0, y0), (x1, y1)]), fill=(*colour, 255))

    def rounded(
        self, x0: float, y0: float, x1: float, y1: float, radius: float, colour: Colour
    ) -> None:
        """Fill a rectangle with round corners."""
        box = self._points([(x0, y0), (x1, y1)])
        self._draw.rounded_rectangle(box, radius * self._side, fill=(*colour, 255))

    def ellipse(
        self,
        x: float,
        y: float,
        radius_x: float,
        radius_y: float,
        colour: Colour,
        outline: Colour | None = None,
        width: float = 0.012,
    ) -> None:
        """Fill an ellipse around (x, y)."""
        self._draw.ellipse(
            self._points([(x - radius_x, y - radius_y), (x + radius_x, y + radius_y)]),
            fill=(*colour, 255),
            outline=outline and (*outline, 255),
            width=round(width * self._side) if outline else 0,
        )

    def slice(
        self, x: float, y: float, radius_x: float, radius_y: float, start: float, end: float,
        colour: Colour,
    ) -> None:  # fmt: skip
        """Fill the piece of an ellipse between two angles in degrees, clockwise from the right."""
        box = self._points([(x - radius_x, y - radius_y), (x + radius_x, y + radius_y)])
        self._draw.pieslice(box, start, end, fill=(*colour, 255))

    def arc(
        self, x: float, y: float, radius_x: float, radius_y: float, start: float, end: float,
        colour: Colour, width: float,
    ) -> None:  # fmt: skip
        """Draw part of an ellipse's line, angles as for `slice`."""
        box = self._points([(x - radius_x, y - radius_y), (x + radius_x, y + radius_y)])
        self._draw.arc(
            box, start, end, fill=(*colour, 255), width=max(1, round(width * self._side))
        )

    def polygon(self, points: Sequence[tuple[float, float]], colour: Colour) -> None:
        """Fill a polygon."""
        self._draw.polygon(self._points(points), fill=(*colour, 255))

    def line(self, points: Sequence[tuple[float, float]], colour: Colour, width: float) -> None:
        """Draw a line through points."""
        self._draw.line(
            self._points(points),
            fill=(*colour, 255),
            width=max(1, int(width * self._side)),
            joint="curve",
        )

    def shadow(self, x: float, y: float, radius_x: float, radius_y: float) -> None:
        """Draw a soft shadow; call it before drawing what casts it."""
        for ring in range(6):
            size = 1.12 - 0.04 * ring
            self._draw.ellipse(
                self._points(
                    [(x - radius_x * size, y - radius_y * size),
                     (x + radius_x * size, y + radius_y * size)]
                ),
                fill=(20, 12, 8, 18 * (ring + 1)),
            )  # fmt: skip

    def cut(self, x0: float, y0: float, x1: float, y1: float) -> None:
        """Make a rectangle transparent."""
        self._draw.rectangle(self._points([(x0, y0), (x1, y1)]), fill=(0, 0, 0, 0))

    def finish(self, grain: float = 0.0, seed: int = 0, coarse: float = 0.0) -> Texture:
        """Return the texture, downsampled.

        Args:
            grain: standard deviation of grey noise per texel, 0-255.
            seed: of the noise.
            coarse: standard deviation of grey noise per patch of 16 texels.
        """
        texture = np.asarray(self._image.reduce(self._supersample)).copy()
        if grain or coarse:
            generator = np.random.default_rng(seed)
            noise = generator.normal(0.0, 1.0, (SIZE, SIZE, 1)) * grain
            patches = generator.normal(0.0, 1.0, (SIZE // 16, SIZE // 16, 1)) * coarse
            noise += patches.repeat(16, axis=0).repeat(16, axis=1)
            texture[..., :3] = np.clip(texture[..., :3] + noise, 0, 255)
        return texture
