"""How fast an experiment's life goes under lockstep, and where its time goes.

    python -m tools.bench.experiment                                     conf/experiments/laboratory
    python -m tools.bench.experiment --json conf=food_room clock=lockstep size=tiny record=false

Lives so many ticks and prints ticks a second in all and of each part alone: the world, the mind
(the nets that act, and taking new weights), the trainer (by learner), and what is left. With CPU
time instead of the clock's, what other programs take does not count: a run never uses more than one
core at a time, so it is what the run would take alone.
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from typing import Any

import psutil

from agent.lifecycle.signals import StopRequest
from agent.loop import Loop
from agent.settings.compose import compose, read_command_line
from agent.settings.schema import Settings, parse
from agent.ui.terminal import StatusSource
from pamiq_lightning.trainer.process import TrainerProcess
from tools.bench.limits import Measurement, at_least, measured, print_measurements

LABORATORY = "conf/experiments/laboratory.yaml"
LIMIT = 20_000 / 600
"""Ticks a second: 20,000 in ten minutes."""
WARM_UP = 3
"""Windows that are not measured: the dynamics need as long to have something to train on."""


class Meter:
    """Adds up the CPU time of calls, by part, in this thread."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    def around(self, part: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """Return the call, its time counted."""

        def timed(*arguments: Any, **named: Any) -> Any:
            began = time.thread_time()
            try:
                return call(*arguments, **named)
            finally:
                self.seconds[part] += time.thread_time() - began

        return timed


def live(settings: Settings) -> Iterator[Measurement]:
    """Live, and yield what was measured."""
    from agent.lifecycle.runner import Runner
    from agent.osc.ports import bind_tcp
    from agent.ui.server import HOST
    from agent.worlds.factory import resolve_world

    meter = Meter()

    class Measured(Runner):
        """A life whose parts are timed."""

        def _prepare(self, end: Any) -> tuple[Loop, StatusSource]:
            loop, status = super()._prepare(end)
            for part, owner, calls in (
                ("world", loop.world, ("observe", "act")),
                ("mind", loop.actor, ("act", "reflect", "poll_weights")),
            ):
                for name in calls:
                    setattr(owner, name, meter.around(part, getattr(owner, name)))
            return loop, status

        def _on_rollout(self) -> None:
            super()._on_rollout()
            if self.exchange.writer.filled == WARM_UP:
                meter.seconds.clear()
                self.begun = (self._trainer_seconds(), time.thread_time(), time.monotonic())
                self.learners_begun = self._learners()
            self.ended = (self._trainer_seconds(), time.thread_time(), time.monotonic())
            self.learners_ended = self._learners()

        def _trainer_seconds(self) -> float:
            spent = psutil.Process(self.trainer.pid).cpu_times()
            return float(spent.user + spent.system)

        def _learners(self) -> dict[str, float]:
            roles = self.settings.learners
            return {role: self.exchange.board.learner(role)["seconds"] for role in roles}

    with redirect_stdout(io.StringIO()), StopRequest() as stop:
        resolve_world(settings, print)
        trainer = TrainerProcess()
        life = Measured(settings, "bench", trainer, stop, bind_tcp(HOST, 0))
        try:
            life.live()
        finally:
            trainer.kill()
    ticks = (life.exchange.writer.filled - WARM_UP) * settings.rollout_length
    trained, own, wall = (b - a for a, b in zip(life.begun, life.ended, strict=True))
    rest = own - sum(meter.seconds.values())
    yield at_least("ticks/s of a run alone (CPU time)", ticks / (trained + own), "1/s", LIMIT)
    yield measured("ticks/s now (the clock's time)", ticks / wall, "1/s")
    for part, seconds in (
        *meter.seconds.items(),
        ("rest of the agent", rest),
        ("trainer", trained),
    ):
        yield measured(f"{part}: a tick", 1e3 * seconds / ticks, "ms")
        yield measured(f"{part}: alone", ticks / seconds, "ticks/s")
    for role, ended in life.learners_ended.items():
        seconds = ended - life.learners_begun[role]
        yield measured(f"{role}: a tick (the clock's time)", 1e3 * seconds / ticks, "ms")


def main() -> None:
    """Live and print every figure; exit with 1 if the limit is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--ticks", type=int, default=2048, help="length of the life")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("settings", nargs="*", help="key=value, as of agent.run")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pamiq-bench-") as runs:
        given = [f"conf={LABORATORY}", *options.settings, f"runs={runs}", f"steps={options.ticks}"]
        composed = compose(read_command_line(given), lambda: "tiny")
        settings = parse(composed, set(composed["learners"]))
        sys.exit(not print_measurements(live(settings), options.json))


if __name__ == "__main__":
    main()
