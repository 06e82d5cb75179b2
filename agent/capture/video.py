"""A recorded video as frame source."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agent.capture.base import CaptureError
from agent.capture.opencv import import_opencv
from agent.capture.resize import from_bgr


class Video:
    """Plays a file in real time from the first read, cropped to its centre square.

    Args:
        size: pixels a side of the frames.
        path: any video file OpenCV can read.
        loop: start again at the end instead of raising.
        clock: monotonic seconds.

    Attributes:
        captured: always None: a video keeps its size.

    Raises:
        CaptureError: OpenCV is missing, or the file is missing or not a video.
    """

    captured: tuple[int, int] | None = None

    def __init__(
        self,
        size: int,
        path: str | Path,
        loop: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        cv2 = import_opencv()
        if not Path(path).is_file():
            raise CaptureError(f"There is no video {path}.")
        self._size = size
        self._path = path
        self._loop = loop
        self._clock = clock
        self._rewind_to = cv2.CAP_PROP_POS_FRAMES
        self._file = cv2.VideoCapture(str(path))
        self._rate = float(self._file.get(cv2.CAP_PROP_FPS))
        self._started: float | None = None
        self._played = 0
        self._frame: NDArray[np.uint8] | None = None
        if not (self._rate > 0.0 and self._file.grab()):
            self._file.release()
            raise CaptureError(f"{path} is not a video that OpenCV can read.")
        self._file.set(self._rewind_to, 0)

    def read(self) -> NDArray[np.uint8]:
        """Return the centre square of the current frame, uint8 RGB (3, size, size).

        Raises:
            CaptureError: the video is over, or closed.
        """
        now = self._clock()
        if self._started is None:
            self._started = now
        wanted = int((now - self._started) * self._rate) + 1
        while self._played < wanted:
            if not self._next(last=self._played == wanted - 1):
                self._start_again(now)
                wanted = 1
        if self._frame is None:
            raise CaptureError(f"The video {self._path} is closed.")
        return from_bgr(self._frame, self._size)

    def close(self) -> None:
        """Release the file. May be called twice."""
        self._file.release()
        self._frame, self._loop = None, False

    def _next(self, last: bool) -> bool:
        """Advance one frame; only the last one is decoded."""
        if not self._file.grab():
            return False
        self._played += 1
        if last:
            decoded, frame = self._file.retrieve()
            self._frame = frame if decoded else self._frame
        return True

    def _start_again(self, now: float) -> None:
        if not self._loop or self._played == 0:
            raise CaptureError(f"The video {self._path} is over.")
        self._file.set(self._rewind_to, 0)
        self._started, self._played = now, 0
