"""What learning costs the agent, and acting the trainer, as ratios measured in one go.

    python -m tools.bench.runtime
    python -m tools.bench.runtime --json

Runs of four variants (`tools.bench.variants`) take turns: an agent alone, an agent with its trainer
process, one that trains in a thread of its own process, and a trainer alone. All at size tiny in
the embedded street; learners train from replay whenever no rollout is new, so that the trainer
never rests. Leave the machine alone meanwhile: the default takes about a quarter of an hour.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean, median
from typing import Any

from pamiq_lightning.recording.reader import RecordingReader
from pamiq_lightning.utils.console import print_error
from tools.agent_process import ENDLESS, AgentProcess, start_agent
from tools.bench.limits import Measurement, at_least, at_most, bench_main, measured
from tools.bench.tick import tick_parts
from tools.bench.variants import VARIANTS

RATES_HZ = (10, 30)
MISSED_PERCENT = {10: 0.1, 30: 1.0}
LATENESS_MS = 10.0
START_S = 40
SETTLED_S, IDLE_S = 5, 60
NEVER_IDLE = "trainer.replay_ratio=1000000"


def run_variant(variant: str, rate: int, seconds: float) -> dict[str, Any]:
    """Run a variant in a process of its own and return its summary."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "tools.bench.variants", variant),
            *("conf=japan_street", "world=embedded", "size=tiny", "trainer.aim=false"),
            *(f"rate={rate}", f"seconds={seconds}", NEVER_IDLE),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"variant {variant!r} ended with {done.returncode}:\n{done.stderr}")
    summary: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return summary


class Comparison:
    """The summaries of all runs at one rate, by variant."""

    def __init__(self, rate: int, seconds: float) -> None:
        self.rate, self.seconds = rate, seconds
        self.summaries: dict[str, list[dict[str, Any]]] = defaultdict(list)

    def run_once(self) -> None:
        """Run every variant once more."""
        for variant in VARIANTS:
            self.summaries[variant].append(run_variant(variant, self.rate, self.seconds))
            print_error(f"{variant} at {self.rate} Hz is done")

    def tick(self, variant: str, statistic: str) -> float:
        """Return the median over the runs of a statistic of the tick's length (ms)."""
        return median(float(summary["tick_ms"][statistic]) for summary in self.summaries[variant])

    def late(self, variant: str) -> float:
        """Return the largest p99 of the lateness (ms)."""
        return max(float(summary["lateness_ms"]["p99"]) for summary in self.summaries[variant])

    def missed(self, variant: str) -> float:
        """Return the share of missed ticks (percent)."""
        missed = sum(summary["missed_ticks"] for summary in self.summaries[variant])
        ticks = sum(summary["ticks"] for summary in self.summaries[variant])
        return 100.0 * float(missed / ticks)

    def work(self, variant: str) -> float:
        """Return updates per second as a share of what a trainer alone makes, mean over learners.

        Only learners with replay updates count: how many updates the policy makes depends on how
        far one rollout moves it, not on time.
        """
        alone = self.summaries["trainer"][0]["learners"]
        roles = [role for role in alone if alone[role]["replay_updates"]]
        return fmean(self._updates(variant, r) / self._updates("trainer", r) for r in roles)

    def _updates(self, variant: str, role: str) -> float:
        summaries = self.summaries[variant]
        return median(float(summary["learners"][role]["updates"]) for summary in summaries)

    def measurements(self) -> Iterator[Measurement]:
        """Yield what the runs came to."""
        at = f"{self.rate} Hz"
        for variant in ("alone", "process", "thread"):
            for statistic in ("p50", "p95", "p99", "max"):
                value = self.tick(variant, statistic)
                yield measured(f"tick {statistic}, {variant}, {at}", value, "ms")
            if variant != "process":
                yield measured(f"missed, {variant}, {at}", self.missed(variant), "%")
        limit = MISSED_PERCENT[self.rate]
        yield at_most(f"missed, process, {at}", self.missed("process"), "%", limit)
        yield at_most(f"lateness p99, process, {at}", self.late("process"), "ms", LATENESS_MS)
        alone = self.tick("alone", "p99")
        ratio = self.tick("process", "p99") / alone
        yield at_most(f"tick p99, process / alone, {at}", ratio, "x", 1.5)
        yield measured(f"tick p99, thread / alone, {at}", self.tick("thread", "p99") / alone, "x")
        yield at_least(f"updates/s, process / trainer alone, {at}", self.work("process"), "x", 0.9)
        yield measured(f"updates/s, thread / trainer alone, {at}", self.work("thread"), "x")


def start_up() -> Iterator[Measurement]:
    """Yield how long the start takes, by part, and when trained weights act for the first time."""
    settings = ("conf=japan_street", "size=tiny", f"seconds={START_S}", "trainer.aim=false")
    # Without a display it says at once that it found no VRChat.
    with (
        tempfile.TemporaryDirectory(prefix="pamiq-start-") as runs,
        AgentProcess(Path(runs), *settings, environment={"DISPLAY": ""}) as agent,
    ):
        versions = RecordingReader(agent.join()).column("versions")
    at = dict[str, float]()
    for line in agent.lines:
        at.setdefault(line.text.split(":")[0], line.time - agent.started)
    yield measured("start-up: settings read", at["World"], "s")
    yield measured("start-up: torch, nets, world", at["Live page"] - at["World"], "s")
    yield measured("start-up: trainer ready, warm", at["Run folder"] - at["Live page"], "s")
    yield at_most("ready to act", at["Run folder"], "s", 10.0)
    # The first published weights are not trained.
    trained = (versions > 1).any(axis=1)
    first = int(trained.argmax()) / 10 if trained.any() else math.inf
    yield at_most("first trained weights act", at["Run folder"] + first, "s", 45.0)


def idle_trainer() -> Measurement:
    """Return how much of a core a trainer takes that has nothing to train.

    It still reads every rollout, for its metrics.
    """
    roles = ("encoder", "dynamics", "policy", "decoder")
    frozen = [f"learners.{role}.freeze=true" for role in roles]
    rare = ("rollout_length=128", "trainer.save_every=1000", "trainer.preview_every=1000")
    with (
        tempfile.TemporaryDirectory(prefix="pamiq-idle-") as runs,
        start_agent(Path(runs), "conf=debug", "rate=10", *ENDLESS, *frozen, *rare) as agent,
    ):
        trainer = agent.trainer()
        if trainer is None:
            raise RuntimeError("the agent has no trainer")
        time.sleep(SETTLED_S)
        before = sum(trainer.cpu_times()[:2])
        time.sleep(IDLE_S)
        spent = sum(trainer.cpu_times()[:2]) - before
    return at_most("a trainer without work, of a core", 100 * spent / IDLE_S, "%", 1.0)


def measurements(seconds: float, rounds: int) -> Iterator[Measurement]:
    """Yield all."""
    yield from tick_parts()
    yield idle_trainer()
    yield from start_up()
    comparisons = [Comparison(rate, seconds) for rate in RATES_HZ]
    for _ in range(rounds):
        for comparison in comparisons:
            comparison.run_once()
    for comparison in comparisons:
        yield from comparison.measurements()


if __name__ == "__main__":
    bench_main(
        __doc__,
        measurements,
        seconds=(40.0, "of each run"),
        rounds=(2, "runs of each variant and rate"),
    )
