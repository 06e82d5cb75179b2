"""F1: the trainer is killed at random times, and the agent must not notice."""

from __future__ import annotations

import random
import time

from pamiq_lightning.checkpoint.store import find_checkpoints
from pamiq_lightning.utils.console import safe_print
from tools.agent_process import AgentProcess
from tools.faults.outcome import Outcome
from tools.faults.subject import PERIOD_MS, count_unusable, debug_agent, longest_tick

BACK_S = 5.0
GIVE_UP_S = 60.0


def run(trials: int) -> list[Outcome]:
    """Kill the trainer in every trial."""
    back = Outcome("F1 trainer killed", "trains again <= 5 s", BACK_S, "s")
    late = Outcome("F1 agent's largest lateness", "never above one period", PERIOD_MS, "ms")
    broken = Outcome("F1 checkpoints", "0 unreadable", 0, "")
    rng = random.Random(0)
    with debug_agent() as agent:
        for _ in range(trials):
            back.values.append(_kill_once(agent, rng))
            broken.values.append(count_unusable(find_checkpoints(agent.folder)))
            safe_print(f"{back.fault}: back after {back.values[-1]} s")
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
    ready = agent.wait_for_new_trainer(before, GIVE_UP_S)
    return time.monotonic() - began if ready else None
