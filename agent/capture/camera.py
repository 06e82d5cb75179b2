"""A camera as frame source, such as OBS's virtual camera."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.capture.base import CaptureError
from agent.capture.opencv import import_opencv
from agent.capture.resize import from_bgr

_FIRST_FRAME_S = 5.0
_STALE_S = 1.0


class Camera:
    """Keeps the newest frame of a camera, cropped to its centre square.

    A thread reads continuously: a camera that is read once a tick returns old frames from its
    queue.

    Args:
        size: pixels a side of the frames.
        source: number of the camera (0 is the first; as text, too), or a device path or URL that
            OpenCV can open.
        clock: monotonic seconds.
        opener: opens the source; OpenCV's VideoCapture if left out.

    Attributes:
        captured: always None: a camera keeps its size.

    Raises:
        CaptureError: OpenCV is missing, or the camera cannot be opened or delivers no frame.
    """

    captured: tuple[int, int] | None = None

    def __init__(
        self,
        size: int,
        source: int | str = 0,
        clock: Callable[[], float] = time.monotonic,
        opener: Callable[[int | str], Any] | None = None,
    ) -> None:
        self._size = size
        self._source = source = int(source) if str(source).isdigit() else source
        self._clock = clock
        self._camera = (opener or import_opencv().VideoCapture)(source)
        if not self._camera.isOpened():
            self._camera.release()
            raise CaptureError(
                f"Camera {source!r} cannot be opened: is it plugged in (in OBS: Start Virtual "
                "Camera), and does no other program use it?"
            )
        self._newest: tuple[NDArray[np.uint8], float] | None = None
        self._received = threading.Event()
        self._closed = threading.Event()
        self._reader = threading.Thread(target=self._read, name="camera", daemon=True)
        self._reader.start()
        if not self._received.wait(_FIRST_FRAME_S):
            self.close()
            raise CaptureError(
                f"Camera {source!r} is open and delivers no frame: restart its program."
            )

    def read(self) -> NDArray[np.uint8]:
        """Return the newest frame's centre square, uint8 RGB (3, size, size).

        Raises:
            CaptureError: no new frame for a second, or closed.
        """
        if self._closed.is_set() or self._newest is None:
            raise CaptureError(f"Camera {self._source!r} is closed.")
        frame, taken = self._newest
        if self._clock() - taken > _STALE_S:
            raise CaptureError(f"Camera {self._source!r} has delivered no new frame for a second.")
        return from_bgr(frame, self._size)

    def close(self) -> None:
        """Release the camera. May be called twice."""
        self._closed.set()
        self._reader.join(timeout=2.0)
        self._camera.release()

    def _read(self) -> None:
        while not self._closed.is_set():
            received, frame = self._camera.read()
            if received:
                self._newest = (frame, self._clock())
                self._received.set()
            else:
                self._closed.wait(0.05)  # Unplugged: it may come back; do not spin.
