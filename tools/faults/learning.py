"""F3 and F16: learning goes wrong, or its log does, and the agent keeps acting."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from agent.run_dir import CHECKPOINTS
from tools.faults.outcome import Outcome
from tools.faults.subject import debug_agent, longest_tick
from tools.parts import load_settings
from tools.saved_run import read_metrics

SECONDS_PER_TRIAL = 3.0
SLOW_WRITE_S = 0.2
_FAULTY = {
    "dynamics": "tools.faults.learners.NanLossDynamics",
    "encoder": "tools.faults.learners.InfGradientIJEPA",
}
_AIM = {
    "broken": 'raise ImportError("this Aim is broken on purpose")',
    "slow": f"""
import time

class Image:
    def __init__(self, picture): ...

class Repo:
    @classmethod
    def from_path(cls, *_, **__): return cls()

    def run_exists(self, run_hash): return True

class Run:
    hash = "0"

    def __init__(self, *_, **__): time.sleep({SLOW_WRITE_S})

    def set(self, *_, **__): time.sleep({SLOW_WRITE_S})

    def track(self, *_, **__): time.sleep({SLOW_WRITE_S})

    def close(self): ...
""",
}
"""Code that replaces the package `aim`."""


def run(trials: int) -> list[Outcome]:
    """Inject all faults, each for three seconds per trial."""
    seconds = SECONDS_PER_TRIAL * trials
    return _not_finite(seconds) + [_aim(name, code, seconds) for name, code in _AIM.items()]


def _faulty_settings() -> list[str]:
    """Name faulty learners and a faulty reward."""
    settings = ["curiosity={class_path: tools.faults.curiosity.OutlierReward}"]
    learners = load_settings("conf=debug").learners
    for role, class_path in _FAULTY.items():
        # A new class_path drops the arguments of the old one.
        model = {"class_path": class_path, "init_args": learners[role].model["init_args"]}
        settings.append(f"learners.{role}.model={json.dumps(model)}")
    return settings


def _all_finite(state: dict[str, Tensor]) -> bool:
    return all(bool(torch.isfinite(tensor).all()) for tensor in state.values())


def _not_finite(seconds: float) -> list[Outcome]:
    bad = Outcome("F3 published or recorded", "0 numbers not finite", 0, "")
    counted = Outcome("F3 updates skipped", "counted, and rolled back", 0, "uncounted")
    with debug_agent(*_faulty_settings()) as agent:
        time.sleep(seconds)
        summary = agent.stop()
        steps = agent.steps()
        not_finite = sum(not np.isfinite(steps[key]).all() for key in ("log_prob", "value"))
        for path in (agent.folder / CHECKPOINTS).glob("*.ckpt"):
            not_finite += not _all_finite(torch.load(path, weights_only=True)["state_dict"])
    bad.values.append(float(not_finite))
    rewards = int(np.sum(~np.isfinite(steps["reward"])))
    bad.notes = f"{rewards} rewards were not finite, and their rows not trained on"
    for role in _FAULTY:
        learner = summary["learners"][role]
        counted.values.append(0.0 if learner["skipped"] and learner["rollbacks"] else None)
        counted.notes += (
            f"{role}: {learner['updates']} made, {learner['skipped']} skipped, "
            f"{learner['rollbacks']} rollbacks; "
        )
    return [longest_tick("F3 NaN, Inf and 1e8", summary), bad, counted]


def _aim(name: str, code: str, seconds: float) -> Outcome:
    with tempfile.TemporaryDirectory(prefix="pamiq-faults-aim-") as package:
        Path(package, "aim.py").write_text(code)
        with debug_agent(environment={"PYTHONPATH": package}) as agent:
            time.sleep(seconds)
            summary = agent.stop()
            roles = ("agent", "encoder", "policy")
            logged = {role: len(read_metrics(agent.folder, role)) for role in roles}
    outcome, filled = longest_tick(f"F16 Aim is {name}", summary), summary["rollouts_filled"]
    if logged["agent"] != filled or not min(logged.values()):
        outcome.values = [None]
    outcome.notes += (
        f"; metrics.jsonl has {logged['agent']} of {filled} rollouts and {logged['encoder']} "
        "updates of the encoder"
    )
    return outcome
