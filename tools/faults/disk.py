"""F8: the disk fills, and has room again, while the agent runs or a learner is fitted with Aim on.

Only root may mount such a disk.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from agent.ctl import ask
from pamiq_lightning.checkpoint.store import find_checkpoints
from pamiq_lightning.utils.console import safe_print
from tools.agent_process import AgentProcess, wait_until
from tools.faults.machine import small_disk
from tools.faults.outcome import Outcome
from tools.faults.subject import count_unusable, debug_agent, longest_tick, start_debug_agent
from tools.saved_run import last_step_in_aim, read_metrics

DISK_MB = 96
FULL_S = 15.0
AGAIN_S = 60.0
LIMIT_S = 120.0
WARNING = "no checkpoint can be saved"
AIM_DISK_MB = 32
AIM_AGAIN, AIM_AGAIN_S = "Aim takes records again", 75.0
FIT_S = 300.0
CONF = Path(__file__).parents[2] / "conf"


def run(trials: int) -> list[Outcome]:
    """Fill the disk in every trial, then once that of Aim alone while a learner is fitted."""
    return [*_agent(trials), _fit()]


def _agent(trials: int) -> list[Outcome]:
    warned = Outcome("F8 full disk warned of", "at least once, at most once a minute", 1, "lines")
    intact = Outcome("F8 checkpoints before", "0 unusable", 0, "")
    again = Outcome("F8 saved again", "when there is room", AGAIN_S, "s")
    learns = Outcome("F8 learners that stood still", "0", 0, "")
    recovers = Outcome("F8 Aim logs again", "when there is room", AIM_AGAIN_S, "s")
    aim = Outcome("F8 Aim at the end", "has the newest rollout", 0, "rollouts missing")
    with small_disk(DISK_MB) as disk, start_debug_agent(disk, "record=false") as agent:
        agent.wait_for_checkpoint()
        for trial in range(trials):
            if trial:
                # The next warning is due a minute after the last.
                time.sleep(60.0 - FULL_S)
            values = _fill_once(agent, disk)
            for outcome, value in zip((warned, intact, learns, again), values, strict=True):
                outcome.values.append(value)
            safe_print(f"F8: saved again after {again.values[-1]:.1f} s")
        began = time.monotonic()
        back = wait_until(lambda: _count(agent, AIM_AGAIN), AIM_AGAIN_S, 0.5)
        recovers.values.append(time.monotonic() - began if back else None)
        summary = agent.stop()
        intact.values.append(count_unusable(find_checkpoints(agent.folder)[:1]))
        newest = read_metrics(agent.folder, "agent")[-1]["step"]
        aim.values.append(newest - last_step_in_aim(agent.folder, "reward_mean"))
    learns.notes = f"{summary['trainer_restarts']} restarts of the trainer"
    return [warned, intact, again, learns, recovers, aim, longest_tick("F8", summary)]


def _fit() -> Outcome:
    """Fill the disk of Aim's repository while a learner is fitted; all else is on another one."""
    outcome = Outcome("F8 fit while Aim's disk is full", "trains to its end", FIT_S, "s")
    with (
        tempfile.TemporaryDirectory(prefix="pamiq-faults-fit-") as here,
        small_disk(AIM_DISK_MB) as disk,
        debug_agent() as agent,
    ):
        agent.wait_for_checkpoint()
        agent.stop()
        repo = Path(here) / "runs" / ".aim"
        repo.parent.mkdir()
        repo.symlink_to(disk)
        learner, size = CONF / "learners" / "ijepa.yaml", CONF / "sizes" / "debug" / "ijepa.yaml"
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "pamiq_lightning", "fit"),
                *("--config", str(learner), "--config", str(size), "--trainer.max_epochs=40"),
                *("--data.recording", str(agent.folder), "--trainer.enable_progress_bar=false"),
            ],
            cwd=here,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if not wait_until(lambda: list(disk.glob("seqs/chunks/*")), FIT_S):
            raise RuntimeError(f"Aim logged nothing within {FIT_S:.0f} s")
        fill(disk)
        began = time.monotonic()
        try:
            output, _ = process.communicate(timeout=FIT_S)
            outcome.values.append(None if process.returncode else time.monotonic() - began)
        except subprocess.TimeoutExpired:
            process.kill()
            output, _ = process.communicate()
            outcome.values.append(None)
        outcome.notes = "; ".join(line for line in output.splitlines() if line.startswith("Aim"))
    return outcome


def _fill_once(agent: AgentProcess, disk: Path) -> tuple[float, float, float, float]:
    """Fill the disk for a while.

    Returns:
        Warnings, unusable checkpoints, learners that stood still, seconds until the next save.
    """
    before, warnings = ask(agent.folder, "status"), _count(agent, WARNING)
    saved = find_checkpoints(agent.folder)
    filler = fill(disk)
    if not wait_until(lambda: _count(agent, WARNING) > warnings, LIMIT_S, 0.2):
        raise RuntimeError(f"no warning within {LIMIT_S:.0f} s")
    time.sleep(FULL_S)
    now = ask(agent.folder, "status")
    lines, bad = _count(agent, WARNING) - warnings, count_unusable(saved)
    newest = find_checkpoints(agent.folder)[0]
    filler.unlink()
    began = time.monotonic()
    if not wait_until(lambda: find_checkpoints(agent.folder)[0] != newest, LIMIT_S, 0.2):
        raise RuntimeError(f"nothing saved within {LIMIT_S:.0f} s")
    return lines, bad, _standing_still(before, now), time.monotonic() - began


def fill(disk: Path) -> Path:
    """Fill the disk to the last byte; return the file that does."""
    path = disk / "filler"
    with path.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while file.write(bytes(size)) == size:
                    pass
            except OSError:
                continue
    return path


def _count(agent: AgentProcess, text: str) -> int:
    """Return how many of the messages to the person have a text in them."""
    return sum(text in line["text"] for line in ask(agent.folder, "status")["messages"])


def _standing_still(before: dict[str, Any], now: dict[str, Any]) -> int:
    return sum(
        now["learners"][role]["updates"] <= before["learners"][role]["updates"]
        for role in ("encoder", "dynamics", "policy")
    )
