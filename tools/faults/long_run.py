"""F13: a long run on a virtual clock, with real small updates, watched for growth.

Loop, actor, exchange and training loop are the real ones at size debug, in one process and in turn;
only world and clock are replaced.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil
import torch
from numpy.typing import NDArray

from agent.clock import LockstepClock
from agent.lifecycle import build
from agent.loop import Loop
from pamiq_lightning.exchange.rollouts import RolloutReader
from pamiq_lightning.exchange.weights import WeightsWriter
from pamiq_lightning.trainer.loop import TrainerLoop
from pamiq_lightning.trainer.run_log import RunLog
from pamiq_lightning.trainer.settings import LearnerSettings
from pamiq_lightning.trainer.update import Updater
from pamiq_lightning.trainer.worker import LearnerWorker
from pamiq_lightning.utils.console import safe_print
from tools.bench.dummy_world import DummyWorld
from tools.faults.outcome import Outcome
from tools.parts import build_parts, load_settings

TICKS = 1_000_000
UNIT = 36_000
"""Ticks of an hour at 10 Hz, the unit of growth."""
MB_PER_UNIT = 1.0
SAMPLES = 100
STATE = "shapes.state=[1, 32]"
SMALL: dict[str, dict[str, object]] = {
    "encoder": {"updates": 1, "capacity": 200, "depth": 1},
    "dynamics": {"updates": 1},
    "policy": {"epochs": 1, "batch_size": 64},
    "decoder": {"updates": 1},
}
"""Shallower nets and fewer updates than debug has: a million ticks are eight thousand rollouts."""


def give_back_free_memory() -> None:
    """Have the allocator return free pages, where it can: what stays resident is then in use."""
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        libc.malloc_trim(0)


def count_descriptors(process: psutil.Process) -> int:
    """Return how many file descriptors a process has open; on Windows, handles."""
    if sys.platform == "win32":
        return process.num_handles()
    return process.num_fds()


@dataclass
class Growth:
    """Measurements along a run."""

    ticks: list[int] = field(default_factory=list)
    rss_mb: list[float] = field(default_factory=list)
    descriptors: list[int] = field(default_factory=list)
    threads: list[int] = field(default_factory=list)
    tick_ms: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    updates: int = 0

    def measure(self, tick: int) -> None:
        """Take one sample."""
        give_back_free_memory()
        process = psutil.Process(os.getpid())
        self.ticks.append(tick)
        self.rss_mb.append(process.memory_info().rss / 1e6)
        self.descriptors.append(count_descriptors(process))
        self.threads.append(threading.active_count())

    def mb_per_unit(self) -> float:
        """Return by how many MB per 36,000 ticks the memory's floor rose, from the second third on.

        It is the floor because fragmentation comes and goes. The growth of a shorter run counts as
        that of a whole unit.
        """
        third = len(self.ticks) // 3
        grown = min(self.rss_mb[2 * third :]) - min(self.rss_mb[third : 2 * third])
        units = (self.ticks[2 * third] - self.ticks[third]) / UNIT
        return grown / max(units, 1.0)

    def slowdown(self) -> float:
        """Return p99 of the last tenth of the ticks over that of the first."""
        tenth = len(self.tick_ms) // 10
        first, last = self.tick_ms[:tenth], self.tick_ms[-tenth:]
        return float(np.percentile(last, 99) / np.percentile(first, 99))


def simulate(ticks: int, folder: Path, notify: Callable[[int], None] = lambda _: None) -> Growth:
    """Run so many ticks; return the measurements."""
    growth = Growth()
    changes = [
        f"learners.{role}.model.init_args.{name}={json.dumps(value)}"
        for role, arguments in SMALL.items()
        for name, value in arguments.items()
    ]
    settings = load_settings("conf=debug", "rollout_length=128", STATE, *changes)
    parts = build_parts(settings, DummyWorld.info_names)
    exchange = parts.open_exchange()
    log = RunLog(folder, None)
    try:
        workers = []
        for role, learner in parts.learners.items():
            module = parts.acting.get(role)
            writer = WeightsWriter(exchange.weights[role], module) if module else None
            updater = Updater(learner, "cpu", "32-true")
            workers.append(LearnerWorker(role, learner, updater, writer, LearnerSettings()))
            workers[-1].publish()
        trainer = TrainerLoop(
            workers,
            RolloutReader(exchange.rollouts),
            exchange.board,
            log,
            wait=lambda _: True,
            save=lambda: True,
        )

        def on_rollout() -> None:
            while trainer.turn():
                pass

        device = torch.device("cpu")
        actor = build.build_actor(settings, parts.acting, exchange, parts.curiosity, device)
        world, clock = DummyWorld(parts.shape.frame_size), LockstepClock(1 / settings.rate)
        loop = Loop(world, actor, exchange.writer, clock, settings.rate, on_rollout)
        every = max(ticks // SAMPLES, 1)

        def stopped() -> bool:
            """Called twice a tick, in the slack: measure now and then."""
            if loop.metrics.ticks % every == 0 and growth.ticks[-1:] != [loop.metrics.ticks]:
                growth.measure(loop.metrics.ticks)
                notify(loop.metrics.ticks)
            return False

        tick, spent = loop.tick, np.full(ticks, np.nan)

        def timed(*arguments: object) -> None:
            # Processor time, without what other programs take in an hour.
            filled, began = exchange.writer.filled, time.thread_time()
            tick(*arguments)  # type: ignore[arg-type]
            # A tick that trained counts no more: an agent's trainer is another process.
            if exchange.writer.filled == filled:
                spent[loop.metrics.ticks - 1] = 1e3 * (time.thread_time() - began)

        loop.tick = timed  # type: ignore[method-assign, assignment]
        loop.run(stopped, max_ticks=ticks)
        growth.tick_ms = spent[np.isfinite(spent)]
        growth.updates = sum(worker.updater.batches for worker in workers)
    finally:
        log.close()
        exchange.remove()
    return growth


def run(trials: int) -> list[Outcome]:
    """Run a million ticks, whatever the number of trials."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="pamiq-faults-") as folder:
        growth = simulate(TICKS, Path(folder), lambda n: safe_print(f"F13: tick {n}"))
    memory = Outcome("F13 memory in a million ticks", "<= 1 MB per 36,000", MB_PER_UNIT, "MB")
    memory.values.append(growth.mb_per_unit())
    memory.notes = f"{growth.updates} updates; {growth.rss_mb[-1]:.0f} MB at the end"
    files = Outcome("F13 descriptors", "constant", 0, "more")
    settled = SAMPLES // 5
    files.values.append(float(growth.descriptors[-1] - growth.descriptors[settled]))
    threads = Outcome("F13 threads", "constant", 0, "more")
    threads.values.append(float(growth.threads[-1] - growth.threads[settled]))
    slower = Outcome("F13 p99 of the last tenth / first", "<= 1.1", 1.1, "x")
    slower.values.append(growth.slowdown())
    return [memory, files, threads, slower]
