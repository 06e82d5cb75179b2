"""Lives to compare: `python -m tools.bench.variants alone|process|thread|trainer key=value ...`.

- alone: an agent that learns nothing (every learner is frozen);
- process: the agent as it is, its trainer in a process of its own;
- thread: the same agent and learners, but trained in a thread of the agent's process, as is common
  elsewhere; it lives here only, to be compared with;
- trainer: no agent; windows of noise come at the pace an agent would fill them.

The last line printed is a JSON object: the run's summary.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from agent.lifecycle.signals import StopRequest
from agent.run_dir import SUMMARY
from agent.settings.compose import compose, read_command_line
from agent.settings.schema import Settings, parse
from pamiq_lightning.exchange.status_board import StatusBoard
from pamiq_lightning.trainer.config import TrainerConfig
from pamiq_lightning.trainer.process import LOOK_S, TrainerProcess

VARIANTS = ("alone", "process", "thread", "trainer")


class TrainerThread:
    """Takes the place of `TrainerProcess`, with a thread where that has a process."""

    restarts = 0

    def __init__(self) -> None:
        self._filled, self._trained = threading.Semaphore(0), threading.Semaphore(0)
        self._thread: threading.Thread | None = None
        self._folder: Path | None = None

    def begin(self, job: TrainerConfig) -> None:
        """Train from now on."""
        self._folder = job.run_folder
        self._thread = threading.Thread(target=self._train, args=(job,), daemon=True)
        self._thread.start()

    def _train(self, job: TrainerConfig) -> None:
        from pamiq_lightning.trainer.main import train

        def wait(block: bool) -> bool:
            self._filled.acquire(block, LOOK_S if block else None)
            return True

        train(job, wait, self._trained.release)

    @property
    def alive(self) -> bool:
        """Whether it trains."""
        return self._thread is not None and self._thread.is_alive()

    def describe_end(self) -> str:
        """Say that it ended."""
        return f"the trainer's thread ended ({self._folder})"

    def watch(self, board: StatusBoard, now: float) -> str | None:
        """Return nothing: a thread that died cannot be replaced."""
        return None

    def wake(self) -> None:
        """Tell it that something is to do."""
        self._filled.release()

    def wait_for_round(self) -> None:
        """Return when a round has ended, or after a while."""
        self._trained.acquire(timeout=LOOK_S)

    def join(self) -> bool:
        """Wait for its end."""
        if self._thread:
            self._thread.join()
        return True

    def kill(self) -> None:
        """Do nothing: a thread cannot be ended from outside."""


def read_settings(arguments: list[str], frozen: bool) -> Settings:
    """Return the settings of a command line, every learner frozen if so wished."""
    composed = compose(read_command_line(arguments), lambda: "tiny")
    settings = parse(composed, set(composed["learners"]))
    for learner in settings.learners.values():
        learner.freeze = learner.freeze or frozen
    return settings


def live(variant: str, arguments: list[str]) -> dict[str, Any]:
    """Run an agent and return its summary."""
    from agent.lifecycle.runner import Runner
    from agent.osc.ports import bind_tcp
    from agent.ui.server import HOST
    from agent.worlds.factory import resolve_world

    settings = read_settings(arguments, frozen=variant == "alone")
    resolve_world(settings, print)
    trainer: Any = TrainerThread() if variant == "thread" else TrainerProcess()
    with StopRequest() as stop:
        life = Runner(settings, variant, trainer, stop, bind_tcp(HOST, 0))
        try:
            life.live()
        finally:
            trainer.kill()
    summary: dict[str, Any] = json.loads((life.folder / SUMMARY).read_text())
    return summary


def train_alone(arguments: list[str]) -> dict[str, Any]:
    """Let the trainer train on noise for as long as the settings say; return its figures."""
    import torch

    from agent.lifecycle import build
    from pamiq_lightning.exchange.rollouts import AGENT_METRICS
    from pamiq_lightning.trainer.warm_up import noise

    settings = read_settings(arguments, frozen=False)
    settings.record = False
    trainer = TrainerProcess()
    build.enable_aux_heads(settings, [build.build_curiosity(settings)])
    learners = build.build_learners(settings)
    acting = {r: module for r, learner in learners.items() if (module := learner.acting_module)}
    shape = build.step_shape(learners, ())
    exchange = build.open_exchange(shape, settings.rollout_length, acting, tuple(learners))
    folder = Path(settings.runs) / "trainer" / str(os.getpid())
    folder.mkdir(parents=True)
    trainer.begin(build.make_trainer_config(settings, exchange, folder, torch.device("cpu")))
    try:
        while not exchange.board.ready and trainer.alive:
            time.sleep(LOOK_S)
        rows = noise(shape, settings.rollout_length).numpy()
        began, period = time.monotonic(), settings.rollout_length / settings.rate
        end = began + (settings.seconds or 60.0)
        while (now := time.monotonic()) < end:
            if now >= began + exchange.writer.filled * period:
                for n in range(settings.rollout_length):
                    row = {key: rows[key][n] for key in shape.fields()}
                    exchange.writer.write({**row, "index": n + exchange.writer.filled * 1000})
                exchange.writer.commit(dict.fromkeys(AGENT_METRICS, 0.0))
                trainer.wake()
            time.sleep(0.05)
        told = {role: exchange.board.learner(role) for role in learners}
    finally:
        exchange.board.request_stop()
        trainer.wake()
        trainer.join()
        exchange.remove()
    return {"learners": told, "seconds": settings.seconds}


def main() -> None:
    """Live, and print the summary on one line."""
    variant, *arguments = sys.argv[1:]
    if variant not in VARIANTS:
        sys.exit(f"{variant}: must be one of {', '.join(VARIANTS)}")
    with tempfile.TemporaryDirectory(prefix="pamiq-lives-") as runs:
        arguments.append(f"runs={runs}")
        summary = train_alone(arguments) if variant == "trainer" else live(variant, arguments)
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
