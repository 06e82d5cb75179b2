"""Film strips of the steps with the highest and the lowest reward."""

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
from tools.series import largest_apart

BEFORE, AFTER = 4, 1
"""Frames shown before and after the rewarded one."""
SMALLEST = 96
"""Pixels: smaller frames are enlarged."""
APART = 50
"""Least distance of two steps shown, which would else be neighbours."""


@dataclass(frozen=True)
class Strip:
    """The frames around one step."""

    index: int
    reward: float
    image: str
    """A data URL."""


def choose(steps: Steps, which: Literal["highest", "lowest"], count: int) -> list[int]:
    """Return the rows of up to `count` steps, the most extreme reward first, all apart."""
    sign = 1 if which == "highest" else -1
    return largest_apart(np.where(steps.rewarded, sign * steps.reward, np.nan), count, APART)


def strips(reader: RecordingReader, steps: Steps, rows: list[int]) -> list[Strip]:
    """Return each step with the frames around it."""
    made = []
    for row in rows:
        start, stop = max(0, row - BEFORE), min(len(steps.index), row + AFTER + 1)
        image = _side_by_side(reader.read(start, stop)["frame"], row - start)
        made.append(Strip(int(steps.index[row]), float(steps.reward[row]), data_url(image)))
    return made


def _side_by_side(frames: NDArray[np.uint8], marked: int) -> Image.Image:
    """Return frames (n, 3, H, W) in a row, the rewarded one with a red edge."""
    framed = np.full((len(frames), 3, frames.shape[2] + 6, frames.shape[3] + 6), 255, np.uint8)
    framed[marked] = np.array([200, 30, 30], np.uint8)[:, None, None]
    framed[:, :, 3:-3, 3:-3] = frames
    strip = Image.fromarray(np.concatenate(list(framed.transpose(0, 2, 3, 1)), axis=1))
    scale = max(1, SMALLEST // frames.shape[2])
    return strip.resize((strip.width * scale, strip.height * scale), Image.Resampling.NEAREST)


def data_url(image: Image.Image) -> str:
    """Return an image as a data URL, which a page contains itself."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
