"""F3 and F16: learning goes wrong, or its log does, and the agent acts on."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from agent.run_dir import CHECKPOINTS
from tools.faults.learners import all_finite
from tools.faults.outcome import Outcome
from tools.faults.run import PERIOD_MS, Runner

SECONDS_A_TRIAL = 3.0
SLOW_WRITE_S = 0.2
_CLUMSY = (
    "learners.dynamics.model.class_path=tools.faults.learners.NanLossDynamics",
    "learners.encoder.model.class_path=tools.faults.learners.InfGradientIJEPA",
    "curiosity={class_path: tools.faults.learners.Absurdity}",
)
_AIM = {
    "broken": 'raise ImportError("this Aim was told to break")',
    "slow": f"""
import time

class Image:
    def __init__(self, picture): ...

class Run:
    hash = "0"

    def __init__(self, *_, **__): time.sleep({SLOW_WRITE_S})

    def __setitem__(self, key, value): time.sleep({SLOW_WRITE_S})

    def track(self, *_, **__): time.sleep({SLOW_WRITE_S})

    def close(self): ...
""",
}
"""Stands in for the package `aim`."""


def run(trials: int) -> list[Outcome]:
    """Live through both, each for so many trials of three seconds."""
    seconds = SECONDS_A_TRIAL * trials
    outcomes = _not_finite(seconds)
    for name, code in _AIM.items():
        outcomes.append(_aim(name, code, seconds))
    return outcomes


def _settings_of(role: str) -> dict[str, Any]:
    from agent.settings.compose import CommandLine, compose

    found: dict[str, Any] = compose(CommandLine("debug"), lambda: "tiny")["learners"][role]["model"]
    return found


def _keep_arguments(setting: str) -> list[str]:
    """Name another class for a learner; its arguments must be named again with it."""
    if not setting.startswith("learners."):
        return [setting]
    role = setting.split(".")[1]
    arguments = json.dumps(_settings_of(role)["init_args"])
    return [setting, f"learners.{role}.model.init_args={arguments}"]


def _not_finite(seconds: float) -> list[Outcome]:
    tick = Outcome("F3 NaN, Inf and 1e8: longest tick", "acting unaffected", PERIOD_MS, "ms")
    bad = Outcome("F3 published or recorded", "0 numbers not finite", 0, "")
    counted = Outcome("F3 updates left out", "counted, and rolled back", 0, "uncounted")
    with tempfile.TemporaryDirectory(prefix="pamiq-faults-") as folder:
        run = Runner(Path(folder), *(part for s in _CLUMSY for part in _keep_arguments(s)))
        try:
            time.sleep(seconds)
            summary = run.end()
        finally:
            run.kill()
        tick.values.append(summary["tick_ms"]["max"])
        tick.notes = f"{summary['missed_ticks']} of {summary['ticks']} ticks missed"
        steps = run.steps()
        spoiled = int(np.sum(~np.isfinite(steps["reward"])))
        unsound = sum(not np.isfinite(steps[key]).all() for key in ("log_prob", "value"))
        for path in (run.folder / CHECKPOINTS).glob("*.ckpt"):
            state = torch.load(path, weights_only=True)["state_dict"]
            unsound += not all_finite(state)
        bad.values.append(float(unsound))
        bad.notes = f"{spoiled} rewards were not finite, and their rows not trained on"
        learners = summary["learners"]
        for role in ("encoder", "dynamics"):
            told = learners[role]
            counted.values.append(0.0 if told["skipped"] and told["rollbacks"] else None)
            counted.notes += (
                f"{role}: {told['updates']} made, {told['skipped']} left out, "
                f"{told['rollbacks']} times back; "
            )
    return [tick, bad, counted]


def _aim(name: str, code: str, seconds: float) -> Outcome:
    outcome = Outcome(f"F16 Aim is {name}: longest tick", "acting unaffected", PERIOD_MS, "ms")
    with (
        tempfile.TemporaryDirectory(prefix="pamiq-faults-") as folder,
        tempfile.TemporaryDirectory(prefix="pamiq-faults-aim-") as package,
    ):
        Path(package, "aim.py").write_text(code)
        run = Runner(Path(folder), "trainer.aim=true", environment={"PYTHONPATH": package})
        try:
            time.sleep(seconds)
            summary = run.end()
        finally:
            run.kill()
        logged = {role: len(run.metrics(role)) for role in ("agent", "encoder", "policy")}
        told = summary["rollouts_filled"]
        whole = logged["agent"] == told and min(logged.values()) > 0
        outcome.values.append(summary["tick_ms"]["max"] if whole else None)
        outcome.notes = (
            f"{summary['missed_ticks']} of {summary['ticks']} ticks missed; metrics.jsonl has "
            f"{logged['agent']} of {told} windows and {logged['encoder']} updates of the encoder"
        )
    return outcome
