"""How fast a run of an experiment goes under lockstep, and where its time goes.

    python -m tools.bench.experiment                                conf/experiments/laboratory
    python -m tools.bench.experiment --json conf=food_room clock=lockstep size=tiny record=false

Runs so many ticks and prints ticks per second in all and of each part alone: the world, the actor
(the nets that act, and new weights), the trainer (by learner), and the rest. CPU time leaves out
what other programs take: a run never uses more than one core at a time, so it is the time that the
run takes alone.
"""

from __future__ import annotations

import io
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, redirect_stdout
from dataclasses import dataclass
from unittest.mock import patch

import psutil

from agent.actor import Actor
from agent.lifecycle.runner import Runner
from agent.lifecycle.signals import StopRequest
from agent.osc.ports import bind_tcp
from agent.settings.schema import Settings
from agent.ui.server import HOST
from agent.worlds.embedded.lockstep import LockstepWorld
from agent.worlds.factory import resolve_world
from pamiq_lightning.trainer.process import TrainerProcess
from pamiq_lightning.utils.console import safe_print
from tools.bench.limits import Measurement, at_least, bench_main, measured
from tools.bench.timing import Stopwatch
from tools.parts import load_settings

LABORATORY = "conf/experiments/laboratory.yaml"
LIMIT = 20_000 / 600
"""Ticks per second: 20,000 in ten minutes."""
WARM_UP = 3
"""Rollouts that are not measured: the dynamics need as many before they train."""
TIMED: tuple[tuple[str, type, tuple[str, ...]], ...] = (
    ("world", LockstepWorld, ("observe", "act")),
    ("actor", Actor, ("act", "finish_step", "poll_weights")),
)


@dataclass(frozen=True)
class Sample:
    """Seconds spent so far by trainer and agent (CPU), on the clock, and by each learner."""

    trainer: float
    agent: float
    wall: float
    learners: dict[str, float]


class SampledTrainer(TrainerProcess):
    """Takes a sample after every round from the end of the warm-up on."""

    def __init__(self, stopwatch: Stopwatch) -> None:
        super().__init__()
        self.samples = list[Sample]()
        self.stopwatch = stopwatch
        self.runner: Runner | None = None

    def wait_for_round(self) -> None:
        """Wait, then take a sample."""
        super().wait_for_round()
        assert self.runner is not None
        exchange = self.runner.exchange
        if exchange.board.rounds < max(exchange.writer.filled, WARM_UP):
            return
        if not self.samples:
            self.stopwatch.seconds.clear()
        spent = psutil.Process(self.process.pid).cpu_times()
        learners = {r: exchange.board.learner(r)["seconds"] for r in self.runner.settings.learners}
        now = time.thread_time(), time.monotonic()
        self.samples.append(Sample(spent.user + spent.system, *now, learners))


def measurements(settings: list[str], ticks: int) -> Iterator[Measurement]:
    """Run with `key=value` settings, and yield all."""
    with tempfile.TemporaryDirectory(prefix="pamiq-bench-") as runs:
        given = [f"conf={LABORATORY}", *settings, f"runs={runs}", f"steps={ticks}"]
        yield from measure(load_settings(*given))


def measure(settings: Settings) -> Iterator[Measurement]:
    """Run, and yield all."""
    stopwatch = Stopwatch(time.thread_time)
    with ExitStack() as stack:
        stack.enter_context(redirect_stdout(io.StringIO()))
        stop = stack.enter_context(StopRequest())
        resolve_world(settings, safe_print)
        trainer = SampledTrainer(stopwatch)
        stack.callback(trainer.kill)
        for part, owner, names in TIMED:
            for name in names:
                timed = stopwatch.around(part, getattr(owner, name))
                stack.enter_context(patch.object(owner, name, timed))
        trainer.runner = Runner(settings, "bench", trainer, stop, bind_tcp(HOST, 0))
        trainer.runner.run()
    first, last = trainer.samples[0], trainer.samples[-1]
    ticks = (len(trainer.samples) - 1) * settings.rollout_length
    trained, own = last.trainer - first.trainer, last.agent - first.agent
    rest = own - sum(stopwatch.seconds.values())
    yield at_least("ticks/s of a run alone (CPU time)", ticks / (trained + own), "1/s", LIMIT)
    yield measured("ticks/s now (wall time)", ticks / (last.wall - first.wall), "1/s")
    parts = {**stopwatch.seconds, "rest of the agent": rest, "trainer": trained}
    for part, seconds in parts.items():
        yield measured(f"{part}: a tick", 1e3 * seconds / ticks, "ms")
        yield measured(f"{part}: alone", ticks / seconds, "ticks/s")
    for role, ended in last.learners.items():
        seconds = ended - first.learners[role]
        yield measured(f"{role}: a tick (wall time)", 1e3 * seconds / ticks, "ms")


if __name__ == "__main__":
    bench_main(
        __doc__,
        measurements,
        settings=((), "key=value, as of agent.run"),
        ticks=(2048, "length of the run"),
    )
