"""What learning costs the agent, and the agent the learning, as ratios measured in one go.

    python -m tools.bench.runtime            a table
    python -m tools.bench.runtime --json     one line a figure: name, value, unit, limit, ok

Lives of four kinds (`tools.bench.variants`) take turns: an agent alone, an agent with its trainer
process, one that trains in a thread of its own process, and a trainer alone. All at size tiny in
the embedded street, learners training from memory whenever no window is new, so that the trainer
never rests. Leave the machine alone meanwhile: the default takes about a quarter of an hour.
"""

from __future__ import annotations

import argparse
import json
import math
import os
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
from tools.bench.limits import Measurement, at_least, at_most, measured, print_measurements
from tools.bench.tick import tick_parts
from tools.bench.variants import VARIANTS
from tools.faults.run import Runner

RATES_HZ = (10, 30)
MISSED_PERCENT = {10: 0.1, 30: 1.0}
LATENESS_MS = 10.0
START_S = 40
SETTLED_S, IDLE_S = 5, 60
NEVER_IDLE = "trainer.replay_ratio=1000000"


def one_life(variant: str, rate: int, seconds: float) -> dict[str, Any]:
    """Run a life in a process of its own and return its summary."""
    done = subprocess.run(
        [
            *(
                sys.executable,
                "-m",
                "tools.bench.variants",
                variant,
                "conf=japan_street",
                "world=embedded",
            ),
            *(f"rate={rate}", f"seconds={seconds}", "size=tiny", "trainer.aim=false", NEVER_IDLE),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"the life {variant!r} ended with {done.returncode}:\n{done.stderr}")
    summary: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return summary


class Lives:
    """The summaries of all lives of one rate, by kind."""

    def __init__(self, rate: int, seconds: float) -> None:
        self.rate, self.seconds = rate, seconds
        self.all: dict[str, list[dict[str, Any]]] = defaultdict(list)

    def go_round(self) -> None:
        """Let every kind live once more."""
        for variant in VARIANTS:
            self.all[variant].append(one_life(variant, self.rate, self.seconds))
            print(f"{variant} at {self.rate} Hz has lived", file=sys.stderr, flush=True)

    def tick(self, variant: str, what: str) -> float:
        """Return the median over the lives of one figure of the tick's length (ms)."""
        return median(float(summary["tick_ms"][what]) for summary in self.all[variant])

    def late(self, variant: str) -> float:
        """Return the largest p99 of the lateness (ms)."""
        return max(float(summary["lateness_ms"]["p99"]) for summary in self.all[variant])

    def missed(self, variant: str) -> float:
        """Return the share of missed ticks (percent)."""
        missed = sum(summary["missed_ticks"] for summary in self.all[variant])
        ticks = sum(summary["ticks"] for summary in self.all[variant])
        return 100.0 * float(missed / ticks)

    def work(self, variant: str) -> float:
        """Return updates a second, each learner's as a share of what it does alone, averaged.

        Of those with replay updates: how many updates the policy makes is not a matter of time,
        but of how far one rollout moves it.
        """
        alone = self.all["trainer"][0]["learners"]
        roles = [role for role in alone if alone[role]["idle_updates"]]
        return fmean(self._updates(variant, r) / self._updates("trainer", r) for r in roles)

    def _updates(self, variant: str, role: str) -> float:
        return median(float(life["learners"][role]["updates"]) for life in self.all[variant])

    def measurements(self) -> Iterator[Measurement]:
        """Yield what came of them."""
        at = f"{self.rate} Hz"
        for variant in ("alone", "process", "thread"):
            for what in ("p50", "p95", "p99", "max"):
                yield measured(f"tick {what}, {variant}, {at}", self.tick(variant, what), "ms")
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
    with tempfile.TemporaryDirectory(prefix="pamiq-start-") as runs:
        began = time.monotonic()
        process = subprocess.Popen(
            [
                *(sys.executable, "-u", "-m", "agent.run", "conf=japan_street", "size=tiny"),
                *(f"runs={runs}", f"seconds={START_S}", "trainer.aim=false"),
            ],
            stdout=subprocess.PIPE,
            text=True,
            # Without a display it says at once that it found no VRChat.
            env={**os.environ, "DISPLAY": ""},
        )
        assert process.stdout is not None
        at = dict[str, float]()
        for line in process.stdout:
            at.setdefault(line.split(":")[0], time.monotonic() - began)
        if process.wait():
            raise RuntimeError(f"the agent ended with {process.returncode}")
        (recording,) = Path(runs).glob("*/*/recording")
        versions = RecordingReader(recording).column("versions")
    yield measured("start-up: settings read", at["World"], "s")
    yield measured("start-up: torch, nets, world", at["Live page"] - at["World"], "s")
    yield measured("start-up: trainer ready, warm", at["Run folder"] - at["Live page"], "s")
    yield at_most("ready to act", at["Run folder"], "s", 10.0)
    # The first that are published are not trained.
    trained = (versions > 1).any(axis=1)
    first = int(trained.argmax()) / 10 if trained.any() else math.inf
    yield at_most("first trained weights act", at["Run folder"] + first, "s", 45.0)


def idle_trainer() -> Measurement:
    """Return how much of a core a trainer takes that has nothing to train.

    It still reads every window, for its figures.
    """
    roles = ("encoder", "dynamics", "policy", "decoder")
    frozen = [f"learners.{role}.freeze=true" for role in roles]
    rare = ("rollout_length=128", "trainer.save_every=1000", "trainer.preview_every=1000")
    with tempfile.TemporaryDirectory(prefix="pamiq-idle-") as runs:
        life = Runner(Path(runs), *frozen, *rare)
        try:
            trainer = life.trainer()
            if trainer is None:
                raise RuntimeError("the agent has no trainer")
            time.sleep(SETTLED_S)
            before = sum(trainer.cpu_times()[:2])
            time.sleep(IDLE_S)
            spent = sum(trainer.cpu_times()[:2]) - before
        finally:
            life.kill()
    return at_most("a trainer without work, of a core", 100 * spent / IDLE_S, "%", 1.0)


def measurements(seconds: float, rounds: int) -> Iterator[Measurement]:
    """Yield all."""
    yield from tick_parts()
    yield idle_trainer()
    yield from start_up()
    every = [Lives(rate, seconds) for rate in RATES_HZ]
    for _ in range(rounds):
        for lives in every:
            lives.go_round()
    for lives in every:
        yield from lives.measurements()


def main() -> None:
    """Print every figure; exit with 1 if a limit is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--seconds", type=float, default=40.0, help="of each life")
    parser.add_argument("--rounds", type=int, default=2, help="lives of each kind and rate")
    options = parser.parse_args()
    sys.exit(not print_measurements(measurements(options.seconds, options.rounds), options.json))


if __name__ == "__main__":
    main()
