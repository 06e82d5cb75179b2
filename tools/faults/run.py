"""An agent in the embedded street as a real process, to do harm to."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

from agent.run_dir import METRICS, SUMMARY, TRAINER_LOG
from pamiq_lightning.recording.reader import RecordingReader

RATE_HZ = 10
PERIOD_MS = 1000 / RATE_HZ
END_LIMIT_S = 60.0


class Runner:
    """A run of conf=debug at 10 Hz, without an end of its own.

    Args:
        folder: for its run.
        settings: more key=value.
        environment: more variables.

    Attributes:
        folder: of its run.
        said: lines it printed before its first tick.
    """

    def __init__(
        self, folder: Path, *settings: str, environment: Mapping[str, str] | None = None
    ) -> None:
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "agent.run", "conf=debug", f"runs={folder}"),
                *(f"rate={RATE_HZ}", "steps=1000000", "trainer.aim=false", "trainer.save_every=1"),
                *settings,
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, **(environment or {})},
        )
        assert self.process.stdout is not None
        self.said: list[str] = []
        for line in self.process.stdout:
            self.said.append(line)
            if line.startswith("Run folder: "):
                self.folder = Path(line.removeprefix("Run folder: ").strip())
                break
        else:
            raise RuntimeError("the agent did not come to live:\n" + "".join(self.said))
        threading.Thread(target=self.process.stdout.read, daemon=True).start()

    def trainer(self) -> psutil.Process | None:
        """Return the trainer, the one process below the agent at nice 19."""
        for child in psutil.Process(self.process.pid).children(recursive=True):
            try:
                if child.nice() == 19:
                    return child
            except psutil.NoSuchProcess:
                continue
        return None

    def starts(self) -> int:
        """Return how often a trainer has been ready."""
        return (self.folder / TRAINER_LOG).read_text().count("ready at")

    def end(self) -> dict[str, Any]:
        """Stop it and return its summary."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(END_LIMIT_S)
        summary: dict[str, Any] = json.loads((self.folder / SUMMARY).read_text())
        return summary

    def kill(self) -> None:
        """End it at once, if it still runs, with all below it."""
        if self.process.poll() is not None:
            return
        family = psutil.Process(self.process.pid).children(recursive=True)
        self.process.kill()
        self.process.wait()
        for child in family:
            if child.is_running():
                child.kill()

    def steps(self) -> dict[str, NDArray[np.generic]]:
        """Return all steps that were recorded, in order, without their frames."""
        reader = RecordingReader(self.folder)
        return reader.read(0, len(reader), without={"frame"})

    def metrics(self, role: str) -> list[dict[str, Any]]:
        """Return what metrics.jsonl has of one role."""
        lines = (self.folder / METRICS).read_text().splitlines()
        return [record for line in lines if (record := json.loads(line))["role"] == role]
