"""Variants of a run to compare: `tools.bench.runtime` runs them all.

    python -m tools.bench.variants alone|process|thread|trainer key=value ...

- alone: an agent that learns nothing (every learner is frozen);
- process: the agent as it is, its trainer in a process of its own;
- thread: the same agent and learners, trained in a thread of the agent's process, as is common
  elsewhere; it exists only for this comparison;
- trainer: no agent; rollouts of noise come at the pace at which an agent would fill them.

The last line printed is a JSON object: the run's summary.
"""

from __future__ import annotations

import os
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import torch

from agent.lifecycle import build
from agent.lifecycle.runner import Runner
from agent.lifecycle.signals import StopRequest
from agent.osc.ports import bind_tcp
from agent.settings.schema import Settings
from agent.ui.server import HOST
from agent.worlds.factory import resolve_world
from pamiq_lightning.exchange.rollouts import AGENT_METRICS
from pamiq_lightning.exchange.status_board import StatusBoard
from pamiq_lightning.trainer.config import TrainerConfig
from pamiq_lightning.trainer.main import train
from pamiq_lightning.trainer.process import TrainerProcess
from pamiq_lightning.trainer.warm_up import noise
from pamiq_lightning.utils.console import safe_print
from pamiq_lightning.utils.json_text import json_text
from pamiq_lightning.utils.processes import POLL_S
from tools.cli import make_parser
from tools.parts import build_parts, load_settings
from tools.saved_run import read_summary

VARIANTS = ("alone", "process", "thread", "trainer")


class TrainerThread:
    """Replaces `TrainerProcess`: a thread of the agent's process trains."""

    restarts = 0

    def __init__(self) -> None:
        self._filled, self._trained = threading.Semaphore(0), threading.Semaphore(0)
        self._thread: threading.Thread | None = None
        self._folder: Path | None = None

    def begin(self, config: TrainerConfig) -> None:
        """Start to train."""
        self._folder = config.run_folder
        self._thread = threading.Thread(target=self._train, args=(config,), daemon=True)
        self._thread.start()

    def _train(self, config: TrainerConfig) -> None:
        def wait(block: bool) -> bool:
            self._filled.acquire(block, POLL_S if block else None)
            return True

        train(config, wait, self._trained.release)

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread is not None and self._thread.is_alive()

    def describe_end(self) -> str:
        """Return a line that names its end."""
        return f"the trainer's thread ended ({self._folder})"

    def watch(self, board: StatusBoard, now: float) -> str | None:
        """Return nothing: a thread that died cannot be replaced."""
        return None

    def wake(self) -> None:
        """Notify it that there is something to do."""
        self._filled.release()

    def wait_for_round(self) -> None:
        """Return when a round has ended, or after a while."""
        self._trained.acquire(timeout=POLL_S)

    def join(self) -> bool:
        """Wait for its end; return that it ended."""
        if self._thread:
            self._thread.join()
        return True

    def kill(self) -> None:
        """Do nothing: a thread cannot be ended from outside."""


def run_agent(variant: str, settings: Settings) -> dict[str, Any] | None:
    """Run an agent and return its summary."""
    resolve_world(settings, safe_print)
    trainer: Any = TrainerThread() if variant == "thread" else TrainerProcess()
    with StopRequest() as stop:
        runner = Runner(settings, variant, trainer, stop, bind_tcp(HOST, 0))
        try:
            runner.run()
        finally:
            trainer.kill()
    return read_summary(runner.folder)


def run_trainer(settings: Settings) -> dict[str, Any]:
    """Train on noise for as long as the settings say; return a summary of the learners."""
    settings.record = False
    trainer, parts = TrainerProcess(), build_parts(settings)
    exchange = parts.open_exchange()
    folder = Path(settings.runs) / "trainer" / str(os.getpid())
    folder.mkdir(parents=True)
    trainer.begin(build.make_trainer_config(settings, exchange, folder, torch.device("cpu")))
    try:
        while not exchange.board.ready and trainer.alive:
            time.sleep(POLL_S)
        rows = noise(parts.shape, settings.rollout_length).numpy()
        began, period = time.monotonic(), settings.rollout_length / settings.rate
        end = began + (settings.seconds or 60.0)
        while (now := time.monotonic()) < end:
            if now >= began + exchange.writer.filled * period:
                for n in range(settings.rollout_length):
                    row = {key: rows[key][n] for key in parts.shape.fields()}
                    exchange.writer.write({**row, "index": n + exchange.writer.filled * 1000})
                exchange.writer.commit(dict.fromkeys(AGENT_METRICS, 0.0))
                trainer.wake()
            time.sleep(0.05)
        learners = {role: exchange.board.learner(role) for role in parts.learners}
    finally:
        exchange.board.request_stop()
        trainer.wake()
        trainer.join()
        exchange.remove()
    return {"learners": learners, "seconds": settings.seconds}


def main() -> None:
    """Run a variant, and print its summary on one line."""
    parser = make_parser(__doc__)
    parser.add_argument("variant", choices=VARIANTS)
    parser.add_argument("settings", nargs="*", help="key=value, as of agent.run")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pamiq-variant-") as runs:
        settings = load_settings(*options.settings, f"runs={runs}")
        if options.variant == "trainer":
            summary: dict[str, Any] | None = run_trainer(settings)
        else:
            for learner in settings.learners.values():
                learner.freeze = learner.freeze or options.variant == "alone"
            summary = run_agent(options.variant, settings)
    safe_print(json_text(summary))


if __name__ == "__main__":
    main()
