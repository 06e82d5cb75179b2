"""Logs to Aim from a thread, because a write to Aim can take as long as the disk does."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from PIL import Image

from pamiq_lightning.utils.atomic_io import replace_atomic

QUEUE_LENGTH = 10_000


class AimLog:
    """Writes metrics and images to Aim.

    If Aim is missing or fails, one line is reported and the run continues without it.

    Attributes:
        lost: records dropped because Aim was too slow.

    Args:
        repo: folder of the Aim repository.
        experiment: name of the experiment in Aim.
        settings: the run's settings.
        notify: takes the message of a failure.
        hash_file: stores the Aim run's hash, so a restarted trainer continues the same Aim run.
    """

    def __init__(
        self,
        repo: Path,
        experiment: str,
        settings: dict[str, Any],
        notify: Callable[[str], None],
        hash_file: Path,
    ) -> None:
        self._notify = notify
        self._queue: queue.Queue[Callable[[Any], None] | None] = queue.Queue(QUEUE_LENGTH)
        self._failed = threading.Event()
        self.lost = 0
        self._thread = threading.Thread(
            target=self._run, args=(repo, experiment, settings, hash_file), name="aim", daemon=True
        )
        self._thread.start()

    def metrics(self, role: str, step: int, metrics: Mapping[str, float]) -> None:
        """Queue metrics of one role; never waits."""
        context = {"learner": role} if role != "agent" else {"part": role}
        self._put(lambda run: run.track(dict(metrics), step=step, context=context))

    def image(self, name: str, step: int, image: Image.Image) -> None:
        """Queue an image; never waits."""

        def track(run: Any) -> None:
            import aim

            run.track(aim.Image(image), name=name, step=step)

        self._put(track)

    def _put(self, record: Callable[[Any], None]) -> None:
        if self._failed.is_set():
            return
        try:
            self._queue.put_nowait(record)
        except queue.Full:
            self.lost += 1
            if self.lost == 1:
                self._notify("Aim is too slow: some records are left out (metrics.jsonl has all)")

    def close(self, timeout: float = 10.0) -> None:
        """Write what is queued, or give up after `timeout` seconds."""
        if not self._failed.is_set():
            with suppress(queue.Full):
                self._queue.put(None, timeout=timeout)
        self._thread.join(timeout)

    def _run(self, *arguments: Any) -> None:
        try:
            self._write(*arguments)
        # No failure of an optional backend may end the run; it is reported once.
        except Exception as error:
            self._failed.set()
            self._notify(f"Aim is not available ({type(error).__name__}: {error}); logging goes on")

    def _write(
        self, repo: Path, experiment: str, settings: dict[str, Any], hash_file: Path
    ) -> None:
        import aim

        run = aim.Run(
            hash_file.read_text() if hash_file.is_file() else None,
            repo=str(repo),
            experiment=experiment,
            # By default Aim would store every environment variable.
            log_system_params=False,
            capture_terminal_logs=False,
            system_tracking_interval=None,
        )
        replace_atomic(hash_file, run.hash.encode())
        run["settings"] = settings
        while (record := self._queue.get()) is not None:
            record(run)
        run.close()
