"""F1: the trainer is killed at random moments, and the agent must not notice."""

from __future__ import annotations

import random
import tempfile
import time
from pathlib import Path

from agent.lifecycle import build
from agent.settings.compose import CommandLine, compose
from agent.settings.schema import parse
from pamiq_lightning.checkpoint.store import CheckpointError, find_checkpoints
from pamiq_lightning.learners.base import Learner
from pamiq_lightning.trainer.checkpointer import check_fit, read_checkpoint
from tools.faults.outcome import Outcome
from tools.faults.run import PERIOD_MS, Runner

BACK_S = 5.0
GIVE_UP_S = 60.0


def run(trials: int) -> list[Outcome]:
    """Kill the trainer so many times."""
    back = Outcome("F1 trainer killed", "trains again <= 5 s", BACK_S, "s")
    pause = Outcome("F1 agent's longest tick", "never above one period", PERIOD_MS, "ms")
    late = Outcome("F1 agent's largest lateness", "never above one period", PERIOD_MS, "ms")
    broken = Outcome("F1 checkpoints", "0 unreadable", 0, "")
    rng = random.Random(0)
    with tempfile.TemporaryDirectory(prefix="pamiq-faults-") as folder:
        run = Runner(Path(folder))
        try:
            for _ in range(trials):
                back.values.append(_kill_once(run, rng))
                broken.values.append(_unreadable(run.folder))
                print(f"{back.fault}: back after {back.values[-1]} s", flush=True)
            summary = run.end()
        finally:
            run.kill()
    pause.values.append(summary["tick_ms"]["max"])
    pause.notes = f"{summary['missed_ticks']} of {summary['ticks']} ticks missed"
    late.values.append(summary["lateness_ms"]["max"])
    back.notes = f"{summary['trainer_restarts']} restarts; from the kill, back-off included"
    return [back, pause, late, broken]


def _kill_once(run: Runner, rng: random.Random) -> float | None:
    """Kill at a random moment of work; return how long it took until a new one was ready (s)."""
    # A random part of two windows, so that saves and publishing are hit too.
    time.sleep(rng.uniform(0.2, 6.4))
    trainer, before, began = run.trainer(), run.starts(), time.monotonic()
    if trainer is None:
        return None
    trainer.kill()
    while time.monotonic() - began < GIVE_UP_S:
        if run.starts() > before:
            return time.monotonic() - began
        time.sleep(0.02)
    return None


def _unreadable(run_folder: Path) -> float:
    """Return how many checkpoints cannot be used."""
    bad = 0
    for folder in find_checkpoints(run_folder):
        try:
            check_fit(read_checkpoint(folder), debug_learners())
        except CheckpointError:
            # One that was pruned meanwhile is not there to be judged.
            bad += folder.exists()
    return float(bad)


def debug_learners() -> dict[str, Learner]:
    """Return the learners of conf=debug."""
    composed = compose(CommandLine("debug"), lambda: "tiny")
    settings = parse(composed, set(composed["learners"]))
    build.enable_aux_heads(settings, [build.build_curiosity(settings)])
    return build.build_learners(settings)
