"""F1: the trainer is killed at random times, and the agent must not notice."""

from __future__ import annotations

import random
import tempfile
import time
from pathlib import Path

from pamiq_lightning.checkpoint.snapshot import check_fit, read_checkpoint
from pamiq_lightning.checkpoint.store import CheckpointError, find_checkpoints
from tools.agent_process import AgentProcess, wait_until
from tools.faults.outcome import Outcome
from tools.faults.subject import PERIOD_MS, debug_learners, longest_tick, start_debug_agent

BACK_S = 5.0
GIVE_UP_S = 60.0


def run(trials: int) -> list[Outcome]:
    """Kill the trainer in every trial."""
    back = Outcome("F1 trainer killed", "trains again <= 5 s", BACK_S, "s")
    late = Outcome("F1 agent's largest lateness", "never above one period", PERIOD_MS, "ms")
    broken = Outcome("F1 checkpoints", "0 unreadable", 0, "")
    rng = random.Random(0)
    with (
        tempfile.TemporaryDirectory(prefix="pamiq-faults-") as runs,
        start_debug_agent(Path(runs)) as agent,
    ):
        for _ in range(trials):
            back.values.append(_kill_once(agent, rng))
            broken.values.append(_unreadable(agent.folder))
            print(f"{back.fault}: back after {back.values[-1]} s", flush=True)
        summary = agent.stop()
    late.values.append(summary["lateness_ms"]["max"])
    back.notes = f"{summary['trainer_restarts']} restarts; from the kill, back-off included"
    return [back, longest_tick("F1", summary), late, broken]


def _kill_once(agent: AgentProcess, rng: random.Random) -> float | None:
    """Kill at a random time; return how long it took until a new trainer was ready (s)."""
    # A random part of two rollouts, so that saves and publishing are hit too.
    time.sleep(rng.uniform(0.2, 6.4))
    trainer, before, began = agent.trainer(), agent.trainer_starts(), time.monotonic()
    if trainer is None:
        return None
    trainer.kill()
    ready = wait_until(lambda: agent.trainer_starts() > before, GIVE_UP_S)
    return time.monotonic() - began if ready else None


def _unreadable(run_folder: Path) -> float:
    """Return how many checkpoints cannot be used."""
    bad = 0
    for folder in find_checkpoints(run_folder):
        try:
            check_fit(read_checkpoint(folder), debug_learners())
        except CheckpointError:
            # One that was pruned meanwhile does not count.
            bad += folder.exists()
    return float(bad)
