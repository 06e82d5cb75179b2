"""F1: the trainer is killed at random moments, and the agent must not notice."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

from pamiq_lightning.trainer.checkpoint import CheckpointError, load_weights
from tools.faults.outcome import Outcome

RATE_HZ = 10
BACK_LIMIT_S = 60.0


class Life:
    """An agent in the embedded street that saves after every window."""

    def __init__(self, folder: Path) -> None:
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "agent.run", "conf=debug", f"runs={folder}"),
                *(f"rate={RATE_HZ}", "steps=1000000", "trainer.aim=false", "trainer.save_every=1"),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("Run folder: "):
                self.folder = Path(line.removeprefix("Run folder: ").strip())
                break
        threading.Thread(target=self.process.stdout.read, daemon=True).start()

    def trainer(self) -> psutil.Process | None:
        """Return the trainer, the one child at nice 19."""
        for child in psutil.Process(self.process.pid).children():
            if child.nice() == 19:
                return child
        return None

    def starts(self) -> int:
        """Return how often a trainer has been ready."""
        return (self.folder / "trainer.log").read_text().count("ready at")

    def end(self) -> dict[str, object]:
        """Stop it and return its summary."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(60)
        summary: dict[str, object] = json.loads((self.folder / "summary.json").read_text())
        return summary


def run(trials: int) -> list[Outcome]:
    """Kill the trainer so many times."""
    back = Outcome("F1 trainer killed", "trains again", BACK_LIMIT_S, "s")
    period_ms = 1000 / RATE_HZ
    pause = Outcome("F1 agent's longest tick", "never above one period", period_ms, "ms")
    broken = Outcome("F1 checkpoints", "0 unreadable", 0, "")
    chance = random.Random(0)
    with tempfile.TemporaryDirectory(prefix="pamiq-faults-") as folder:
        life = Life(Path(folder))
        try:
            for _ in range(trials):
                back.values.append(_kill_once(life, chance))
                broken.values.append(_unreadable(life.folder))
                print(f"{back.fault}: back after {back.values[-1]} s", flush=True)
        finally:
            summary = life.end()
    ticks = summary["tick_ms"]
    assert isinstance(ticks, dict)
    pause.values.append(ticks["max"])
    pause.notes = f"{summary['missed_ticks']} of {summary['ticks']} ticks late"
    back.notes = f"{summary['trainer_restarts']} restarts; includes imports and the back-off"
    return [back, pause, broken]


def _kill_once(life: Life, chance: random.Random) -> float | None:
    """Kill at a random moment of work; return how long it took until a new one was ready (s)."""
    # A random part of a window, so that saves and publishing are hit too. Beyond a minute of life
    # the back-off would begin anew; within it, it grows, as it should for one that keeps dying.
    time.sleep(chance.uniform(0.2, 4.0))
    trainer, before, began = life.trainer(), life.starts(), time.monotonic()
    if trainer is None:
        return None
    trainer.kill()
    while time.monotonic() - began < 2 * BACK_LIMIT_S:
        if life.starts() > before:
            return time.monotonic() - began
        time.sleep(0.05)
    return None


def _unreadable(run_folder: Path) -> float:
    """Return how many checkpoints cannot be loaded."""
    from agent import assembly
    from agent.compose import CommandLine, compose
    from agent.settings import parse

    composed = compose(CommandLine("debug"), lambda: "tiny")
    learners = assembly.build_learners(parse(composed, set(composed["learners"])))
    bad = 0
    for path in (run_folder / "checkpoints").glob("*.ckpt"):
        try:
            load_weights(learners[path.stem], path)
        except CheckpointError:
            bad += 1
    return float(bad)
