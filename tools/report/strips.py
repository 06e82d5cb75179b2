"""The moments of highest and lowest reward, as film strips."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pamiq_lightning.recording.reader import RecordingReader
from tools.report.run_data import Steps

BEFORE, AFTER = 4, 1
"""Frames shown before and after the rewarded one."""
SMALLEST = 96
"""Pixels: smaller frames are shown larger."""
APART = 50
"""Steps between two moments that are shown: else all would be of one."""


@dataclass(frozen=True)
class Strip:
    """One moment."""

    index: int
    reward: float
    picture: str
    """A data URL."""


def choose(moments: Steps, which: Literal["highest", "lowest"], count: int) -> list[int]:
    """Return places of up to `count` moments, the most extreme first, all apart."""
    sign = -1 if which == "highest" else 1
    order = np.argsort(sign * moments.reward, kind="stable")
    chosen: list[int] = []
    for place in order[moments.rewarded[order]]:
        if all(abs(place - other) >= APART for other in chosen):
            chosen.append(int(place))
        if len(chosen) == count:
            break
    return chosen


def strips(reader: RecordingReader, moments: Steps, places: list[int]) -> list[Strip]:
    """Return each moment with the frames around it."""
    made = []
    for place in places:
        start, stop = max(0, place - BEFORE), min(len(moments.index), place + AFTER + 1)
        frames = reader.read(start, stop)["frame"]
        made.append(
            Strip(
                int(moments.index[place]),
                float(moments.reward[place]),
                data_url(_side_by_side(frames, place - start)),
            )
        )
    return made


def _side_by_side(frames: NDArray[np.uint8], marked: int) -> Image.Image:
    """Return frames (n, 3, H, W) in a row, the rewarded one with a red edge."""
    framed = np.full((len(frames), 3, frames.shape[2] + 6, frames.shape[3] + 6), 255, np.uint8)
    framed[marked] = np.array([200, 30, 30], np.uint8)[:, None, None]
    framed[:, :, 3:-3, 3:-3] = frames
    strip = Image.fromarray(np.concatenate(list(framed.transpose(0, 2, 3, 1)), axis=1))
    scale = max(1, SMALLEST // frames.shape[2])
    return strip.resize((strip.width * scale, strip.height * scale), Image.Resampling.NEAREST)


def data_url(picture: Image.Image) -> str:
    """Return a picture as text that stands in a page itself."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
