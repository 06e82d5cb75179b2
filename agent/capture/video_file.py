"""Decodes a video file: each frame with the time at which it is shown, turned the right way up."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.sidedata.sidedata import Type
from av.video import VideoStream
from numpy.typing import NDArray

from agent.capture.base import CaptureError

LACKS_S = 0.5
"""A file that ends so long before the end that its header names is cut off."""
_BUFFER = 1 << 18


class VideoFile:
    """One video file, read from an opened file: its name may look like a URL.

    Args:
        path: any file that FFmpeg can decode.

    Attributes:
        fault: why the decoding ended early, in a few words; None where it did not. Known once
            `frames` is exhausted.
        end: seconds from the first frame to the end of the last one that `frames` has yielded.

    Raises:
        CaptureError: the file is missing, or cannot be decoded.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.end = path, 0.0
        self.fault: str | None = None
        try:
            self._file = path.open("rb")
        except OSError as error:
            raise CaptureError(f"There is no video {path} ({error.strerror}).") from error
        try:
            self._open()
            if next(self.frames(), None) is None:
                raise CaptureError(f"{path} has no frame that can be decoded.")
        except CaptureError:
            self.close()
            raise

    def _open(self) -> None:
        try:
            self._file.seek(0)
            self._container = av.open(
                self._file, "r", metadata_errors="replace", buffer_size=_BUFFER
            )
            self._stream: VideoStream = self._container.streams.video[0]
            # The codec context is missing where the head of the file is damaged.
            self._stream.codec_context.thread_type = "AUTO"
        except (OSError, IndexError, AttributeError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "it has no video stream"
            raise CaptureError(f"{self.path} is not a video, or is cut off: {reason}.") from error

    def frames(self) -> Iterator[tuple[float, av.VideoFrame]]:
        """Yield all frames from the first on, with the seconds since the first.

        Raises:
            CaptureError: the file is closed.
        """
        self._open()
        self.fault, self.end, last = None, 0.0, 0.0
        first: float | None = None
        # Without time stamps, all that is known is the rate.
        rate = float(self._stream.average_rate or self._stream.guessed_rate or 25)
        for number, frame in enumerate(self._decode()):
            time = number / rate if frame.time is None else float(frame.time)
            first = time if first is None else first
            time = max(time - first, last)
            duration = float((frame.duration or 0) * (frame.time_base or 0)) or time - last
            self.end, last = time + (duration or 1 / rate), time
            yield time, frame

    def _decode(self) -> Iterator[av.VideoFrame]:
        """Yield the frames up to the first damage; then set `fault`."""
        reached = 0.0
        try:
            # All streams: the header's duration is that of the longest.
            for packet in self._container.demux():
                if packet.pts is not None and packet.time_base is not None:
                    after = packet.pts + (packet.duration or 0)
                    reached = max(reached, float(after * packet.time_base))
                if packet.stream is self._stream:
                    if packet.is_corrupt:
                        self.fault = "is damaged"
                        return
                    yield from self._stream.decode(packet)
        except (OSError, ValueError) as error:
            self.fault = f"is damaged ({getattr(error, 'strerror', None) or error})"
            return
        started = max(0.0, (self._container.start_time or 0) / av.time_base)
        if (lacks := (self._container.duration or 0) / av.time_base - reached - started) > LACKS_S:
            self.fault = f"is cut off: it lacks {lacks:.1f} s"

    def close(self) -> None:
        """Close the file. May be called twice."""
        if hasattr(self, "_container"):
            self._container.close()
        self._file.close()


def upright_bgr(frame: av.VideoFrame) -> NDArray[np.uint8]:
    """Return a frame (H, W, 3), blue first, turned and mirrored as its file asks players to."""
    image = np.asarray(frame.to_ndarray(format="bgr24"), np.uint8)
    # PyAV's annotations know the keys of another class.
    side_data: Any = frame.side_data
    if Type.DISPLAYMATRIX not in side_data:
        return image
    # x' = a x + c y, y' = b x + d y
    a, b, _, c, d = np.frombuffer(bytes(side_data[Type.DISPLAYMATRIX]), np.int32)[:5].tolist()
    if abs(b) > abs(a):
        image, a, d = image.swapaxes(0, 1), c, b
    return image[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]
