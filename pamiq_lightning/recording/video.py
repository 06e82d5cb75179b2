"""Frames as H.264 in fragmented MP4, by PyAV, appended one by one and read with random access.

Lossy video is 4:4:4: the halved colour resolution of 4:2:0 alone leaves 29.4 dB of the street,
whose colours have sharp edges, less than the whole compression may cost. There are no B-frames:
LeRobot expects that the time of a frame is its number, from 0.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video import VideoStream
from av.video.reformatter import ColorRange, Colorspace
from numpy.typing import NDArray

from pamiq_lightning.recording.schema import RecordingError
from pamiq_lightning.utils.atomic_io import WholeFile

KEY_EVERY = 50
"""Frames from one key frame to the next; each begins a fragment, and a reader can seek to it."""
_LOSSY = {"preset": "fast", "tune": "psnr", "bf": "0"}
_LOSSLESS = {"preset": "veryfast", "qp": "0", "bf": "0"}
_FRAGMENTED = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
_READ_BYTES = 1 << 18

Frames = NDArray[np.uint8]


class VideoWriter:
    """Writes one video.

    Args:
        path: of the file; must not exist.
        fps: frames per second.
        size: height and width, in pixels.
        crf: constant rate factor; without effect if lossless.
        lossless: store every pixel exactly.

    Raises:
        OSError: the disk refuses, here and in the methods.
    """

    def __init__(self, path: Path, fps: float, size: int, crf: int, lossless: bool) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path, self.count, self._lossless = path, 0, lossless
        # An unbuffered file of ours: what the disk refuses is raised at once, with its errno.
        self._file = WholeFile(path)
        self._container = av.open(self._file, "w", format="mp4", options=_FRAGMENTED)
        self._rate = rate = Fraction(fps).limit_denominator(1000)
        options = _LOSSLESS if lossless else {**_LOSSY, "crf": str(crf)}
        codec = "libx264rgb" if lossless else "libx264"
        stream = self._container.add_stream(codec, rate=rate, options=options)
        assert isinstance(stream, VideoStream)
        self._stream = stream
        self._stream.width = self._stream.height = size
        self._stream.pix_fmt = "rgb24" if lossless else "yuv444p"
        self._stream.gop_size = KEY_EVERY
        context = self._stream.codec_context
        context.thread_count = 1
        if not lossless:
            context.color_range, context.colorspace = ColorRange.JPEG, Colorspace.ITU601

    def write(self, frames: Frames) -> None:
        """Append frames (N, 3, H, W)."""
        for rgb in frames.transpose(0, 2, 3, 1):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
            if not self._lossless:
                frame = frame.reformat(
                    format="yuv444p",
                    dst_colorspace=Colorspace.ITU601,
                    dst_color_range=ColorRange.JPEG,
                )
            frame.pts, frame.time_base = self.count, 1 / self._rate
            self.count += 1
            self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Write the frames that the encoder still holds, and sync the file."""
        try:
            self._container.mux(self._stream.encode(None))
            self._container.close()
            os.fsync(self._file.fileno())
        finally:
            self._file.close()

    def abandon(self) -> None:
        """Close the file as it is, readable up to its last whole fragment."""
        self._file.close()


class VideoReader:
    """Reads one video, in sequence or from any frame; a reader that is dropped is closed.

    Args:
        path: of the file.
        fps: frames per second.

    Raises:
        RecordingError: it holds no video.
    """

    def __init__(self, path: Path, fps: float) -> None:
        self.path, self._fps = path, fps
        try:
            # Opened here: PyAV takes some file names for URLs.
            file = path.open("rb")
            self._close_file = weakref.finalize(self, file.close)
            self._container = av.open(file, "r", buffer_size=_READ_BYTES)
            self._stream = self._container.streams.video[0]
            # The codec context is missing where the head of the file is damaged.
            self._stream.codec_context.thread_count = 1
        except (OSError, IndexError, AttributeError, av.FFmpegError) as error:
            raise RecordingError(f"{path} is damaged: {error}") from error
        self._decoded = self._decode()
        self._next = 0

    def close(self) -> None:
        """Close the file."""
        self._container.close()
        self._close_file()

    def _decode(self) -> Iterator[tuple[int, av.VideoFrame]]:
        """Yield frames with their numbers, up to the end or to where the file is cut off."""
        try:
            for frame in self._container.decode(self._stream):
                yield self._number(frame), frame
        except av.FFmpegError:
            return

    def _key_frames(self) -> list[int]:
        """Return the numbers of all key frames."""
        self._seek(0)
        numbers = []
        with suppress(av.FFmpegError):
            for packet in self._container.demux(self._stream):
                if packet.is_keyframe and packet.pts is not None and packet.size:
                    numbers.append(self._number(packet))
        self._seek(0)
        return numbers

    def count(self) -> int:
        """Return how many frames can be read, by decoding from the last key frame.

        A file is cut off at its end: everything before the last key frame is whole.
        """
        # The packet of the last key frame itself may be cut off.
        for key in reversed(self._key_frames()):
            self._seek(key)
            decoded = sum(number >= key for number, _ in self._decoded)
            self._seek(0)
            if decoded:
                return key + decoded
        return 0

    def check(self, limit: int, every: int) -> tuple[int, Frames]:
        """Decode the video; return how many frames precede the first missing one, and samples.

        Args:
            limit: frames to decode at most.
            every: one of this many frames is sampled, from the first on: (n, 3, H, W).
        """
        self._seek(0)
        count, samples = 0, []
        for number, frame in self._decoded:
            if number != count or count == limit:
                break
            if count % every == 0:
                samples.append(np.empty((3, frame.height, frame.width), np.uint8))
                _copy(frame, samples[-1])
            count += 1
        self._seek(0)
        return count, np.stack(samples) if samples else np.empty((0, 3, 0, 0), np.uint8)

    def _number(self, item: av.VideoFrame | av.Packet[VideoStream]) -> int:
        assert item.pts is not None and item.time_base is not None
        return round(float(item.pts * item.time_base) * self._fps)

    def _seek(self, number: int) -> None:
        assert self._stream.time_base is not None
        # The key frame at or before it.
        at = round(number / self._fps / self._stream.time_base)
        try:
            self._container.seek(at, stream=self._stream, backward=True, any_frame=False)
        except av.FFmpegError:
            # Cut off within its first fragment: no frame can be read.
            self._decoded = iter(())
        else:
            self._decoded = self._decode()

    def read(self, start: int, stop: int) -> Frames:
        """Return frames start to stop - 1 as (N, 3, H, W).

        Raises:
            RecordingError: the video ends before.
        """
        if start != self._next:
            self._seek(start)
        side = self._stream.codec_context.height
        frames = np.empty((stop - start, 3, side, side), np.uint8)
        self._next = -1
        done = 0
        while done < len(frames):
            number, frame = next(self._decoded, (stop, None))
            if number < start:
                continue
            if frame is None or number != start + done:
                raise RecordingError(f"{self.path} is damaged: it lacks frame {start + done}")
            _copy(frame, frames[done])
            done += 1
        self._next = stop
        return frames


def _copy(frame: av.VideoFrame, rgb: Frames) -> None:
    """Copy a frame into `rgb` (3, H, W), plane by plane, without a transposition."""
    green, blue, red = frame.reformat(format="gbrp").planes
    for channel, plane in zip(rgb, (red, green, blue), strict=True):
        pixels = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
        channel[:] = pixels[:, : plane.width]
