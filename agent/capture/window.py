"""Finds a desktop window by its title, on Linux with X11 and on Windows."""

from __future__ import annotations

import sys
from typing import Protocol

from agent.capture.base import CaptureError, Rectangle
from agent.capture.choice import FindTakers


class Window(Protocol):
    """A desktop window; its rectangle is read anew for every capture.

    Attributes:
        note: what a person should know of the choice among several; empty where there is nothing.
    """

    note: str

    def rectangle(self) -> Rectangle:
        """Return the client area, without title bar and border, in screen pixels.

        Raises:
            CaptureError: the window is closed, minimised or hidden.
        """
        ...

    def close(self) -> None:
        """Release the connection. May be called twice."""
        ...


def attach_window(title: str = "VRChat", find_takers: FindTakers = dict) -> Window:
    """Return the window with exactly this title.

    Of several, that of the process which takes the inputs, then Unity's, then the largest.

    Raises:
        CaptureError: no such window, no display, a library is missing, or the window of the process
            that takes the inputs is hidden; it says what to do.
    """
    if sys.platform == "win32":
        from agent.capture.window_windows import attach

        return attach(title, find_takers)
    if sys.platform == "linux":
        from agent.capture.window_x11 import attach

        return attach(title, find_takers)
    raise CaptureError(
        f"Windows cannot be found on {sys.platform}, only on Linux with X11 and on Windows: "
        "run the embedded world (world=embedded)."
    )


def find_window(title: str = "VRChat") -> Window | None:
    """Return the window with exactly this title, or None."""
    try:
        return attach_window(title)
    except CaptureError:
        return None
