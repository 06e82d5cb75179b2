"""Finding VRChat's window by its title, on every system the agent can see on."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Protocol

from agent.capture.base import CaptureError


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


class Window(Protocol):
    """One window on the screen, found once and asked for its place again and again."""

    def rectangle(self) -> Rectangle:
        """Return the client area, without title bar and border, in screen pixels.

        Raises:
            CaptureError: the window is closed, minimised or hidden.
        """
        ...

    def close(self) -> None:
        """Forget the window. May be called twice."""
        ...


def attach_window(title: str = "VRChat") -> Window:
    """Return the window with exactly this title; of several, the likeliest and then the largest.

    Raises:
        CaptureError: no such window, no display, or a library is missing; it says what to do.
    """
    if sys.platform == "win32":
        from agent.capture.window_windows import attach

        return attach(title)
    if sys.platform == "linux":
        from agent.capture.window_x11 import attach

        return attach(title)
    raise CaptureError(
        f"Windows cannot be found on {sys.platform}, only on Linux with X11 and on Windows: "
        "run the embedded world (world=embedded)."
    )


def find_window(title: str = "VRChat") -> Window | None:
    """Return the window with exactly this title, or None wherever there is none to be found."""
    try:
        return attach_window(title)
    except CaptureError:
        return None
