"""The log of a run: metrics.jsonl and PNG files always, Aim too if it is available."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from pamiq_lightning.run_files import LIVE_PREVIEW, METRICS, PREVIEWS
from pamiq_lightning.trainer.aim_log import AimLog
from pamiq_lightning.trainer.aim_process import Track
from pamiq_lightning.utils.atomic_io import staged
from pamiq_lightning.utils.console import safe_print
from pamiq_lightning.utils.json_text import json_text
from pamiq_lightning.utils.outage import Outage

_LONGEST_LINE = 1 << 16


class RunLog:
    """The only writer of a run's metrics and images.

    Args:
        folder: the run's folder.
        aim: logs to Aim, or None.
        notify: takes messages for the person.
    """

    def __init__(
        self, folder: Path, aim: AimLog | None, notify: Callable[[str], object] = safe_print
    ) -> None:
        path = folder / METRICS
        _cut_torn_line(path)
        # Unbuffered: a line that a full disk refuses must not stay in a buffer and fail again.
        self._lines = path.open("ab", buffering=0)
        self._previews, self._live = folder / PREVIEWS, folder / LIVE_PREVIEW
        self._aim = aim
        self._outage = Outage(notify, "metrics and images are written again")

    def metrics(self, role: str, step: int, metrics: Mapping[str, float]) -> None:
        """Write metrics of one role (a learner's, or `agent`) at a step of that role."""
        if not metrics:
            return
        record = {"role": role, "step": step, "time": time.time(), **metrics}
        with self._warn_if_refused():
            self._write((json_text(record) + "\n").encode())
        if self._aim:
            context = {"learner": role} if role != "agent" else {"part": role}
            self._aim.put(Track(dict(metrics), step=step, context=context))

    def image(self, name: str, step: int, image: Image.Image) -> None:
        """Write an image as a PNG file and to Aim."""
        with self._warn_if_refused():
            self._previews.mkdir(exist_ok=True)
            image.save(self._previews / f"{name}_{step:06d}.png")
        if self._aim:
            self._aim.put(Track(image, name, step))

    def live_image(self, image: Image.Image) -> None:
        """Replace the live image; a reader gets the old one or the new one, whole."""
        with self._warn_if_refused(), staged(self._live) as part:
            image.save(part, "PNG", compress_level=1)

    def _write(self, line: bytes) -> None:
        """Write a line, whole or not at all; raise OSError if the disk refuses."""
        before = self._lines.seek(0, os.SEEK_END)
        if self._lines.write(line) != len(line):
            self._lines.truncate(before)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), METRICS)

    @contextmanager
    def _warn_if_refused(self) -> Iterator[None]:
        """If the disk refuses, lose the record and warn once a minute."""
        try:
            yield
            self._outage.succeeded()
        except OSError as error:
            self._outage.failed(f"metrics and images are being lost: {error}")

    def close(self) -> None:
        """Close the file, and write what is queued for Aim."""
        self._lines.close()
        if self._aim:
            self._aim.close()


def _cut_torn_line(path: Path) -> None:
    """Remove the incomplete last line of a process that was killed."""
    if not path.is_file():
        return
    with path.open("r+b") as file:
        start = max(0, file.seek(0, os.SEEK_END) - _LONGEST_LINE)
        file.seek(start)
        tail = file.read()
        file.truncate(start + tail.rfind(b"\n") + 1)
