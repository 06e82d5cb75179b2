"""A desktop window on the screen as frame source."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from agent.capture.base import CaptureError, Rectangle
from agent.capture.choice import FindTakers
from agent.capture.grabber import Grabber, open_grabber
from agent.capture.resize import from_bgrx
from agent.capture.window import Window, attach_window
from pamiq_lightning.utils.console import print_error

_RETRY_S = 1.0  # A search through all windows takes longer than a capture.
_SMALLEST = 16  # A smaller client area (pixels a side) is refused.


class Screen:
    """Captures the centre square of a window's client area, wherever the window moves.

    The screen is captured, so the window must be visible and uncovered. A window that vanishes is
    searched for again once a second. Where part of it is off the screen, the screen may have been
    enlarged: its size is read again, once a second. Use it from one thread.

    Args:
        size: pixels a side of the frames.
        title: the exact title of the window.
        clock: monotonic seconds.
        find_takers: finds the processes that take the inputs; their window is captured.

    Attributes:
        area: the client area of the last capture, in screen pixels.
        notes: what a person should know of the capture; each is printed once.

    Raises:
        CaptureError: no window, no display, a missing library, or the wrong window.
    """

    def __init__(
        self,
        size: int,
        title: str = "VRChat",
        clock: Callable[[], float] = time.monotonic,
        find_takers: FindTakers = dict,
    ) -> None:
        self._size = size
        self._title = title
        self._clock = clock
        self._find_takers = find_takers
        self._window: Window | None = None
        self._grabber: Grabber | None = None
        self._lost = CaptureError("the screen is closed")
        self._retry_at = 0.0
        self._reopen_at = 0.0
        self._grabber_note = ""
        self.notes: tuple[str, ...] = ()
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
            return self._capture()
        except CaptureError as lost:
            self._lose(lost)
            raise

    def close(self) -> None:
        """Release the display. May be called twice."""
        self._lose(CaptureError("the screen is closed"))
        self._retry_at = float("inf")

    def _attach(self) -> None:
        # In this order: on Windows the grabber makes the process DPI-aware.
        self._window = attach_window(self._title, self._find_takers)
        self._open_grabber()

    def _open_grabber(self) -> None:
        if self._grabber is not None:
            self._grabber.close()
            self._grabber = None
        self._grabber, failed = open_grabber()
        self._grabber_note = f"captured by {self._grabber.name} ({failed})" if failed else ""
        self._reopen_at = self._clock() + _RETRY_S

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
        whole = self._window.rectangle()
        area = whole.clamped(self._grabber.desktop)
        if area != whole and self._clock() >= self._reopen_at:
            self._open_grabber()
            area = whole.clamped(self._grabber.desktop)
        if min(area.width, area.height) < _SMALLEST:
            raise CaptureError(
                f"Only {area.width} x {area.height} pixels of the window {self._title!r} are on "
                "the screen: move it back or make it larger."
            )
        self._report(area != whole)
        return area

    def _report(self, clamped: bool) -> None:
        assert self._window is not None
        off = "part of the window is off the screen, and the agent sees the rest" if clamped else ""
        notes = tuple(note for note in (self._window.note, self._grabber_note, off) if note)
        for note in notes:
            if note not in self.notes:
                print_error(f"window {self._title!r}: {note}")
        self.notes = notes

    def _capture(self) -> NDArray[np.uint8]:
        self.area = self._client_area()
        assert self._grabber is not None
        square, desktop = self.area.centre_square(), self._grabber.desktop
        try:
            pixels = self._grabber.grab(square)
        except CaptureError as failure:
            self._open_grabber()
            if self._grabber.desktop != desktop:  # The screen has become smaller.
                return self._capture()
            raise CaptureError(f"The screen cannot be captured: {failure}") from failure
        return from_bgrx(pixels, square.width, square.height, self._size)
