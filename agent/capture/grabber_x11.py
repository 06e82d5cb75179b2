"""Grabs the screen by plain X11 requests, slower than mss and with fewer demands.

mss checks the display's visuals and refuses some that it could read, such as those of Xvnc. Its
own Xlib way reads them, but there libX11 ends the whole process when the display goes away.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from agent.capture.base import CaptureError, Rectangle
from agent.capture.window_x11 import close, connect

if TYPE_CHECKING:
    from Xlib.display import Display

_ALL_PLANES = 0xFFFFFFFF
_MASKS = (0xFF0000, 0x00FF00, 0x0000FF)


class X11Grabber:
    """Grabs by python-xlib. See `agent.capture.grabber.Grabber`.

    Raises:
        CaptureError: no display, or its pixels are not BGRX.
    """

    name = "X11"

    def __init__(self) -> None:
        from Xlib import error

        self._display: Display | None = connect(os.environ)
        self._failures = (error.XError, error.ConnectionClosedError, OSError)
        self._root = self._display.screen().root
        try:
            _check_pixels(self._display)
            geometry = self._root.get_geometry()
        except (CaptureError, *self._failures) as failure:
            self.close()
            raise CaptureError(str(failure)) from failure
        self.desktop = Rectangle(0, 0, geometry.width, geometry.height)

    def grab(self, area: Rectangle) -> bytes:
        """See `agent.capture.grabber.Grabber`."""
        from Xlib import X

        if self._display is None:
            raise CaptureError("the display is closed")
        place = (area.left, area.top, area.width, area.height)
        try:
            pixels: bytes = self._root.get_image(*place, X.ZPixmap, _ALL_PLANES).data
        except self._failures as failure:
            raise CaptureError(str(failure)) from failure
        return pixels

    def close(self) -> None:
        """See `agent.capture.grabber.Grabber`."""
        if self._display is not None:
            close(self._display)
            self._display = None


def _check_pixels(display: Display) -> None:
    """Check that pixels are BGRX.

    Raises:
        CaptureError: they are not.
    """
    from Xlib import X

    setup, screen = display.display.info, display.screen()
    bits = {kind.depth: kind.bits_per_pixel for kind in setup.pixmap_formats}
    masks = [
        (visual.red_mask, visual.green_mask, visual.blue_mask)
        for depth in screen.allowed_depths
        for visual in depth.visuals
        if visual.visual_id == screen.root_visual
    ]
    if (
        setup.image_byte_order != X.LSBFirst
        or bits.get(screen.root_depth) != 32
        or _MASKS not in masks
    ):
        raise CaptureError(f"its pixels are not BGRX ({screen.root_depth} bits a pixel)")
