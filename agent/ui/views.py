"""What the API shows of a run: the newest frame and row, the newest preview, the metrics.

All of it is read from shared memory and files; a tick does nothing for it.
"""

from __future__ import annotations

import io
import math
import threading
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from agent.actions import inputs
from agent.run_dir import LIVE_PREVIEW, METRICS
from pamiq_lightning.exchange.rollouts import RolloutWriter

LARGEST_ANSWER = 1_000_000
"""Bytes of metrics in one answer, at most."""


class Views:
    """Reads a run for the API; any thread may ask.

    Args:
        folder: of the run.
        rollouts: where the loop writes its rows.
        info_names: what each number of a row's `info` is.
    """

    def __init__(self, folder: Path, rollouts: RolloutWriter, info_names: tuple[str, ...]) -> None:
        self._folder, self._rollouts, self._info_names = folder, rollouts, info_names
        self._encoding = threading.Lock()
        self._encoded: tuple[int, bytes] | None = None

    def row(self) -> dict[str, Any] | None:
        """Return the small parts of the newest row; None before the first."""
        row = self._rollouts.newest()
        if row is None:
            return None
        pressed = inputs(row["action"].astype(np.int64))
        info = dict(zip(self._info_names, map(_number, row["info"]), strict=True))
        return {
            "index": int(row["index"]),
            "inputs": {name.removeprefix("/input/"): v for name, v in pressed.items()},
            "reward": _number(row["reward"]),
            "value": _number(row["value"]),
            "is_first": bool(row["is_first"]),
            "valid": bool(row["valid"]),
            "info": info,
        }

    def frame(self) -> tuple[int, bytes] | None:
        """Return the newest frame's tick number, and the frame as a JPEG; None before the first."""
        row = self._rollouts.newest()
        if row is None:
            return None
        index = int(row["index"])
        # One at a time: several watchers share the work.
        with self._encoding:
            if self._encoded is None or self._encoded[0] != index:
                self._encoded = index, _jpeg(row["frame"])
            return self._encoded

    def preview(self) -> bytes | None:
        """Return the trainer's newest preview as a PNG; None where there is none."""
        try:
            return (self._folder / LIVE_PREVIEW).read_bytes()
        except FileNotFoundError:
            return None

    def metrics(self, start: int) -> tuple[bytes, int]:
        """Return whole lines of metrics.jsonl from a byte on, and the byte to continue from.

        Args:
            start: a byte that begins a line; a negative one counts from the end, and the line it
                falls into is left out.
        """
        path = self._folder / METRICS
        if not path.is_file():
            return b"", 0
        with path.open("rb") as file:
            size = file.seek(0, io.SEEK_END)
            begin = max(0, size + start) if start < 0 else min(start, size)
            file.seek(begin)
            piece = file.read(LARGEST_ANSWER)
        if start < 0 and begin > 0:
            cut = piece.find(b"\n") + 1
            piece, begin = piece[cut:], begin + cut
        # The last line may be half written.
        piece = piece[: piece.rfind(b"\n") + 1]
        return piece, begin + len(piece)


def _number(value: Any) -> float | None:
    """Return the number, or None for what JSON does not have: NaN and infinity."""
    number = float(value)
    return number if math.isfinite(number) else None


def _jpeg(frame: Any) -> bytes:
    """Encode a frame (3, H, W)."""
    encoded = io.BytesIO()
    image = Image.fromarray(np.ascontiguousarray(frame.transpose(1, 2, 0)))
    # Full colour resolution: frames are small.
    image.save(encoded, "JPEG", quality=92, subsampling=0)
    return encoded.getvalue()
