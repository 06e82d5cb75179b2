"""An eye that looks at a recorded video, in place of the live one."""

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
    """Plays a file in real time, from the first look on, cropped to its centre square.

    Args:
        size: pixels a side of the frames.
        path: any video file OpenCV can read.
        loop: start again at the end, instead of seeing nothing any more.
        clock: monotonic seconds.

    Attributes:
        captured: always None, for a video keeps its size.

    Raises:
        CaptureError: OpenCV is missing, or the file is missing or no video.
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
        self._picture: NDArray[np.uint8] | None = None
        if not (self._rate > 0.0 and self._file.grab()):
            self._file.release()
            raise CaptureError(f"{path} is no video that OpenCV can read.")
        self._file.set(self._rewind_to, 0)

    def read(self) -> NDArray[np.uint8]:
        """Return the centre square of the frame that is on now, uint8 RGB (3, size, size).

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
        if self._picture is None:
            raise CaptureError(f"The video {self._path} is closed.")
        return from_bgr(self._picture, self._size)

    def close(self) -> None:
        """Release the file. May be called twice."""
        self._file.release()
        self._picture, self._loop = None, False

    def _next(self, last: bool) -> bool:
        """Step one frame on; only the last one is decoded into a picture."""
        if not self._file.grab():
            return False
        self._played += 1
        if last:
            decoded, picture = self._file.retrieve()
            self._picture = picture if decoded else self._picture
        return True

    def _start_again(self, now: float) -> None:
        if not self._loop or self._played == 0:
            raise CaptureError(f"The video {self._path} is over.")
        self._file.set(self._rewind_to, 0)
        self._started, self._played = now, 0
