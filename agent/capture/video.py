"""A recorded video as frame source."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from agent.capture.base import CaptureError
from agent.capture.resize import from_bgr
from agent.capture.video_file import VideoFile, upright_bgr
from pamiq_lightning.utils.console import print_error


class Video:
    """Plays a file in real time from the first read, cropped to its centre square.

    Args:
        size: pixels a side of the frames.
        path: any video file that FFmpeg can decode.
        loop: start again at the end instead of raising.
        clock: monotonic seconds.

    Attributes:
        captured: always None: a video keeps its size.

    Raises:
        CaptureError: the file is missing or not a video.
    """

    captured: tuple[int, int] | None = None

    def __init__(
        self,
        size: int,
        path: str | Path,
        loop: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._size, self._loop, self._clock = size, loop, clock
        self._file = VideoFile(Path(path))
        self._started: float | None = None
        self._reported = self._closed = False
        self._rewind()

    def _rewind(self) -> None:
        self._frames: Iterator[tuple[float, av.VideoFrame]] = self._file.frames()
        self._coming = next(self._frames, None)
        self._frame: NDArray[np.uint8] | None = None

    def read(self) -> NDArray[np.uint8]:
        """Return the centre square of the current frame, uint8 RGB (3, size, size).

        Raises:
            CaptureError: the video is over, or closed.
        """
        if self._closed:
            raise CaptureError(f"The video {self._file.path} is closed.")
        now = self._clock()
        if self._started is None:
            self._started = now
        newest = self._advance(now - self._started)
        if self._coming is None and now - self._started >= self._file.end:
            if not self._loop:
                raise CaptureError(f"The video {self._file.path} is over.")
            self._rewind()
            self._started = now
            newest = self._advance(0.0)
        if newest is not None:
            self._frame = from_bgr(upright_bgr(newest), self._size)
        assert self._frame is not None
        return self._frame

    def _advance(self, position: float) -> av.VideoFrame | None:
        """Return the newest frame at a position (seconds); None if the last one still is."""
        newest = None
        while self._coming is not None and self._coming[0] <= position:
            newest = self._coming[1]
            self._coming = next(self._frames, None)
        if self._coming is None and self._file.fault and not self._reported:
            self._reported = True
            print_error(f"{self._file.path} {self._file.fault}: it ends at {self._file.end:.1f} s")
        return newest

    def close(self) -> None:
        """Close the file. May be called twice."""
        self._closed = True
        self._file.close()
