"""The interface of a frame source, and rectangles of the screen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class CaptureError(RuntimeError):
    """No frame can be captured; the message says why and what to do."""


class FrameSource(Protocol):
    """A source of square frames: the screen, a camera, a recorded video."""

    @property
    def captured(self) -> tuple[int, int] | None:
        """Width and height (pixels) of the last capture; None where they never change."""
        ...

    def read(self) -> NDArray[np.uint8]:
        """Return the newest frame, uint8 RGB (3, size, size).

        Raises:
            CaptureError: there is no frame now; a later read may succeed.
        """
        ...

    def close(self) -> None:
        """Release the device. May be called twice."""
        ...


@dataclass(frozen=True)
class Rectangle:
    """A part of the screen in pixels; `left` and `top` may be negative."""

    left: int
    top: int
    width: int
    height: int

    def clamped(self, other: Rectangle) -> Rectangle:
        """Return the part of this rectangle that lies in `other`; its size may be 0."""
        left, top = max(self.left, other.left), max(self.top, other.top)
        right = min(self.left + self.width, other.left + other.width)
        bottom = min(self.top + self.height, other.top + other.height)
        return Rectangle(left, top, max(right - left, 0), max(bottom - top, 0))

    def centre_square(self) -> Rectangle:
        """Return the largest square in the middle of this rectangle."""
        side = min(self.width, self.height)
        left = self.left + (self.width - side) // 2
        return Rectangle(left, self.top + (self.height - side) // 2, side, side)
