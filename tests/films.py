"""Small video files; each frame has a shade of its own."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video import VideoStream
from numpy.typing import NDArray

UNEVEN_MS = (*range(0, 1000, 50), *range(1000, 10_000, 450))
"""Twenty frames at every 50 ms, then twenty at every 450 ms."""
_UNITY = (1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
_TURNED = {
    90: (0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30),
    180: (-(1 << 16), 0, 0, 0, -(1 << 16), 0, 0, 0, 1 << 30),
    270: (0, -(1 << 16), 0, 1 << 16, 0, 0, 0, 0, 1 << 30),
}


def shade(number: int) -> NDArray[np.uint8]:
    """Return a frame (48, 64, 3) as grey as its number says."""
    return np.full((48, 64, 3), 5 * number + 20, np.uint8)


def write_film(
    path: Path, frames: Sequence[NDArray[np.uint8]], times_ms: Sequence[int], claimed_rate: int = 20
) -> Path:
    """Write frames (H, W, 3) to be shown at uneven times.

    Args:
        path: ends with the format.
        frames: of one size.
        times_ms: when each frame is shown.
        claimed_rate: frames per second that the head of the file states.
    """
    with av.open(str(path), "w") as film:
        codec = "libvpx" if path.suffix == ".webm" else "libx264"
        stream = film.add_stream(codec, rate=claimed_rate)
        assert isinstance(stream, VideoStream)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for frame, time in zip(frames, times_ms, strict=True):
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
            picture.pts, picture.time_base = time, Fraction(1, 1000)
            film.mux(stream.encode(picture))
        film.mux(stream.encode(None))
    return path


def turn(path: Path, degrees: int) -> Path:
    """Make the head of an MP4 ask players to turn it to the right, as phones do."""
    content = path.read_bytes()
    track = content.index(b"tkhd")
    unity = content.index(struct.pack(">9i", *_UNITY), track)
    turned = struct.pack(">9i", *_TURNED[degrees])
    path.write_bytes(content[:unity] + turned + content[unity + len(turned) :])
    return path


def cut(path: Path) -> Path:
    """Cut a file off in the middle."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def noise(count: int) -> list[NDArray[np.uint8]]:
    """Return frames that fill a file evenly."""
    random = np.random.default_rng(0)
    return [random.integers(0, 256, (48, 64, 3), np.uint8) for _ in range(count)]
