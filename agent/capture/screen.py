"""A desktop window on the screen as frame source."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from agent.capture.base import CaptureError, Rectangle
from agent.capture.resize import from_bgrx
from agent.capture.window import Window, attach_window

if TYPE_CHECKING:
    from mss import MSS

_RETRY_S = 1.0  # A search through all windows takes longer than a capture.
_SMALLEST = 16  # A smaller client area (pixels a side) is refused.


class Screen:
    """Captures the centre square of a window's client area, wherever the window moves.

    The screen is captured, so the window must be visible and uncovered. A window that vanishes is
    searched for again once a second. Use it from one thread.

    Args:
        size: pixels a side of the frames.
        title: the exact title of the window.
        clock: monotonic seconds.

    Attributes:
        area: the client area of the last capture, in screen pixels.

    Raises:
        CaptureError: no window, no display, or a missing library.
    """

    def __init__(
        self, size: int, title: str = "VRChat", clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._size = size
        self._title = title
        self._clock = clock
        self._window: Window | None = None
        self._grabber: MSS | None = None
        self._lost = CaptureError("the screen is closed")
        self._retry_at = 0.0
        try:
            self._attach()
            self.area = self._client_area()
        except CaptureError as lost:
            self._lose(lost)
            raise

    @property
    def captured(self) -> tuple[int, int]:
        """Width and height of the client area at the last capture."""
        return self.area.width, self.area.height

    def read(self) -> NDArray[np.uint8]:
        """Return the window's centre square, uint8 RGB (3, size, size).

        Raises:
            CaptureError: the window is closed, hidden, off the screen or too small.
        """
        if self._window is None and self._clock() < self._retry_at:
            raise self._lost
        try:
            if self._window is None:
                self._attach()
            self.area = self._client_area()
            return self._grab(self.area)
        except CaptureError as lost:
            self._lose(lost)
            raise

    def close(self) -> None:
        """Release the display. May be called twice."""
        self._lose(CaptureError("the screen is closed"))
        self._retry_at = float("inf")

    def _attach(self) -> None:
        # In this order: on Windows the grabber makes the process DPI-aware.
        self._window = attach_window(self._title)
        self._grabber = _open_grabber()

    def _lose(self, reason: CaptureError) -> None:
        self._lost = reason
        self._retry_at = self._clock() + _RETRY_S
        if self._window is not None:
            self._window.close()
            self._window = None
        if self._grabber is not None:
            self._grabber.close()
            self._grabber = None

    def _client_area(self) -> Rectangle:
        assert self._window is not None and self._grabber is not None
        desktop = self._grabber.monitors[0]
        screen = Rectangle(desktop["left"], desktop["top"], desktop["width"], desktop["height"])
        area = self._window.rectangle().clamped(screen)
        if min(area.width, area.height) < _SMALLEST:
            raise CaptureError(
                f"Only {area.width} x {area.height} pixels of the window {self._title!r} are on "
                "the screen: move it back or make it larger."
            )
        return area

    def _grab(self, area: Rectangle) -> NDArray[np.uint8]:
        from mss.exception import ScreenShotError

        assert self._grabber is not None
        try:
            shot = self._grabber.grab(asdict(area.centre_square()))
        except ScreenShotError as failure:
            raise CaptureError(f"The screen cannot be captured: {failure}") from failure
        return from_bgrx(shot.raw, shot.width, shot.height, self._size)


def _open_grabber() -> MSS:
    try:
        from mss import MSS
        from mss.exception import ScreenShotError
    except ImportError as missing:
        raise CaptureError(
            f"mss is needed to capture the screen: pip install mss ({missing})"
        ) from missing
    try:
        return MSS()
    except ScreenShotError as failure:
        raise CaptureError(
            f"The screen cannot be captured ({failure}). On Linux this needs an X display and "
            "libxcb1, libxcb-randr0, libxcb-render0, libxcb-shm0 and libxcb-xfixes0."
        ) from failure
