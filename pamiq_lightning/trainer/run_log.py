"""Where figures and pictures go: metrics.jsonl always, Aim beside it when it can be had."""

from __future__ import annotations

import errno
import json
import math
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from PIL import Image

from pamiq_lightning.run_files import LIVE_PREVIEW, METRICS, PREVIEWS
from pamiq_lightning.utils.safe_print import safe_print

QUEUE_LENGTH = 10_000
_WARN_EVERY_S = 60.0
_LONGEST_LINE = 1 << 16
Notify = Callable[[str], None]


class RunLog:
    """The one writer of a run's figures.

    Args:
        folder: the run's folder.
        aim: the Aim back-end, or None.
    """

    def __init__(self, folder: Path, aim: AimThread | None) -> None:
        path = folder / METRICS
        _cut_torn_line(path)
        # Without a buffer: what a full disk refuses must not be kept and refused for ever.
        self._lines = path.open("ab", buffering=0)
        self._pictures, self._live = folder / PREVIEWS, folder / LIVE_PREVIEW
        self._aim = aim
        self._refused_at = -math.inf

    def metrics(self, role: str, step: int, metrics: Mapping[str, float]) -> None:
        """Write figures of one role (a learner's, or `agent`) at a step of its own."""
        if not metrics:
            return
        # JSON knows no NaN.
        known = {k: v if math.isfinite(v) else None for k, v in metrics.items()}
        record = {"role": role, "step": step, "time": time.time(), **known}
        with self._tolerant():
            self._write((json.dumps(record) + "\n").encode())
        if self._aim:
            self._aim.put(lambda run: _track(run, role, step, metrics))

    def picture(self, name: str, step: int, picture: Image.Image) -> None:
        """Keep a picture as a PNG file and in Aim."""
        with self._tolerant():
            self._pictures.mkdir(exist_ok=True)
            picture.save(self._pictures / f"{name}_{step:06d}.png")
        if self._aim:
            self._aim.put(lambda run: _track_picture(run, name, step, picture))

    def live_picture(self, picture: Image.Image) -> None:
        """Put a picture in the place of the one before; who reads it sees one of them, whole."""
        staged = self._live.with_suffix(".part")
        with self._tolerant():
            picture.save(staged, "PNG", compress_level=1)
            staged.replace(self._live)

    def _write(self, line: bytes) -> None:
        """Write a line, whole or not at all.

        Raises:
            OSError: the disk refuses.
        """
        before = self._lines.seek(0, os.SEEK_END)
        if self._lines.write(line) != len(line):
            self._lines.truncate(before)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), METRICS)

    @contextmanager
    def _tolerant(self) -> Iterator[None]:
        """Let a disk that refuses cost a figure or a picture, and say so once a minute."""
        try:
            yield
        except OSError as error:
            if time.monotonic() - self._refused_at >= _WARN_EVERY_S:
                self._refused_at = time.monotonic()
                safe_print(f"figures and pictures are being lost: {error}")

    def close(self) -> None:
        """Write what is left."""
        self._lines.close()
        if self._aim:
            self._aim.close()


def _cut_torn_line(path: Path) -> None:
    """Take away what a process that was killed had begun to write."""
    if not path.is_file():
        return
    with path.open("r+b") as file:
        start = max(0, file.seek(0, os.SEEK_END) - _LONGEST_LINE)
        file.seek(start)
        tail = file.read()
        file.truncate(start + tail.rfind(b"\n") + 1)


def _track(run: Any, role: str, step: int, metrics: Mapping[str, float]) -> None:
    context = {"learner": role} if role != "agent" else {"part": role}
    run.track(dict(metrics), step=step, context=context)


def _track_picture(run: Any, name: str, step: int, picture: Image.Image) -> None:
    import aim

    run.track(aim.Image(picture), name=name, step=step)


class AimThread:
    """Writes to Aim from a thread of its own, for its writes can take as long as the disk does.

    Where Aim is missing or breaks it says so in one line and the run goes on without it.

    Args:
        repo: folder of the Aim repository.
        experiment: name the run is found under.
        settings: the run's settings.
        tell: takes that one line.
        hash_file: keeps the Aim run's hash, so that a trainer started anew goes on in the same one.
    """

    def __init__(
        self,
        repo: Path,
        experiment: str,
        settings: dict[str, Any],
        notify: Notify,
        hash_file: Path,
    ) -> None:
        self._notify = notify
        self._jobs: queue.Queue[Callable[[Any], None] | None] = queue.Queue(QUEUE_LENGTH)
        self._broken = threading.Event()
        self.lost = 0
        """Records dropped because Aim was too slow."""
        self._thread = threading.Thread(
            target=self._work, args=(repo, experiment, settings, hash_file), name="aim", daemon=True
        )
        self._thread.start()

    def put(self, job: Callable[[Any], None]) -> None:
        """Queue something to be written; never waits."""
        if self._broken.is_set():
            return
        try:
            self._jobs.put_nowait(job)
        except queue.Full:
            self.lost += 1
            if self.lost == 1:
                self._notify("Aim is too slow: records are being left out (metrics.jsonl has all)")

    def close(self, timeout: float = 10.0) -> None:
        """Write what is queued, or give up after `timeout` seconds."""
        if not self._broken.is_set():
            with suppress(queue.Full):
                self._jobs.put(None, timeout=timeout)
        self._thread.join(timeout)

    def _work(self, *where: Any) -> None:
        try:
            self._write(*where)
        # Whatever an optional back-end dies of, it must not end the run: it is told, and over.
        except Exception as error:
            self._broken.set()
            self._notify(f"Aim is not available ({type(error).__name__}: {error}); logging goes on")

    def _write(
        self, repo: Path, experiment: str, settings: dict[str, Any], hash_file: Path
    ) -> None:
        import aim

        run = aim.Run(
            (hash_file.read_text() or None) if hash_file.is_file() else None,
            repo=str(repo),
            experiment=experiment,
            # Its default would store every environment variable.
            log_system_params=False,
            capture_terminal_logs=False,
            system_tracking_interval=None,
        )
        hash_file.write_text(run.hash)
        run["settings"] = settings
        while (job := self._jobs.get()) is not None:
            job(run)
        run.close()
