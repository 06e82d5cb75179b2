"""Grabs parts of the screen, by the first way that works here."""

from __future__ import annotations

import sys
from contextlib import suppress
from dataclasses import asdict
from typing import Protocol

from agent.capture.base import CaptureError, Rectangle


class Grabber(Protocol):
    """A connection to the screen; its size is that of the time when it was opened.

    Attributes:
        name: of the way the screen is grabbed.
        desktop: all monitors together.
    """

    name: str
    desktop: Rectangle

    def grab(self, area: Rectangle) -> bytes | bytearray:
        """Return an area of the desktop as BGRX, 4 bytes a pixel, row by row.

        Raises:
            CaptureError: the system refuses, or the display is gone.
        """
        ...

    def close(self) -> None:
        """Release the connection. May be called twice."""
        ...


class MssGrabber:
    """Grabs by mss: shared memory on X11, GDI on Windows. See `Grabber`.

    Raises:
        CaptureError: mss is missing, or cannot use this display.
    """

    name = "mss"

    def __init__(self) -> None:
        try:
            from mss import MSS
            from mss.exception import ScreenShotError
        except ImportError as missing:
            raise CaptureError(f"pip install mss ({missing})") from missing
        # mss asserts that there is a reply; a display that has ended sends none.
        self._failures = (ScreenShotError, AssertionError)
        self._closed = False
        try:
            self._mss = MSS()
            whole = self._mss.monitors[0]
        except self._failures as failure:
            raise CaptureError(_one_line(failure)) from failure
        self.desktop = Rectangle(whole["left"], whole["top"], whole["width"], whole["height"])

    def grab(self, area: Rectangle) -> bytes | bytearray:
        """See `Grabber`."""
        try:
            return self._mss.grab(asdict(area)).raw
        except self._failures as failure:
            raise CaptureError(_one_line(failure)) from failure

    def close(self) -> None:
        """See `Grabber`."""
        # The display may be gone already; mss would then free its connection twice.
        if not self._closed:
            self._closed = True
            with suppress(*self._failures):
                self._mss.close()


def open_grabber() -> tuple[Grabber, str]:
    """Return the first grabber that delivers a pixel, and why others do not ("" for the first).

    Raises:
        CaptureError: none does; the message has every reason.
    """
    reasons = []
    for kind in _grabbers():
        try:
            grabber = kind()
            corner = Rectangle(grabber.desktop.left, grabber.desktop.top, 1, 1)
            try:
                grabber.grab(corner)
            except CaptureError:
                grabber.close()
                raise
        except CaptureError as failure:
            reasons.append(f"{kind.name}: {failure}")
        else:
            return grabber, "; ".join(reasons)
    raise CaptureError(
        f"The screen cannot be captured ({'; '.join(reasons)}). On Linux this needs an X display "
        "with 24-bit colours."
    )


def _grabbers() -> list[type[Grabber]]:
    if sys.platform != "linux":
        return [MssGrabber]
    from agent.capture.grabber_x11 import X11Grabber

    return [MssGrabber, X11Grabber]


def _one_line(failure: Exception) -> str:
    return " ".join(str(failure).split()) or "the display does not answer"
