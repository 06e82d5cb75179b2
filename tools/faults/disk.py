"""F8: the disk fills while the agent runs, and has room again. Only root may mount such a disk."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from agent.ctl import ask
from pamiq_lightning.checkpoint.store import find_checkpoints
from pamiq_lightning.utils.console import safe_print
from tools.agent_process import AgentProcess, wait_until
from tools.faults.machine import small_disk
from tools.faults.outcome import Outcome
from tools.faults.subject import count_unusable, longest_tick, start_debug_agent

DISK_MB = 96
FULL_S = 15.0
AGAIN_S = 60.0
LIMIT_S = 120.0
WARNING = "no checkpoint can be saved"


def run(trials: int) -> list[Outcome]:
    """Fill the disk in every trial."""
    warned = Outcome("F8 full disk warned of", "at least once, at most once a minute", 1, "lines")
    intact = Outcome("F8 checkpoints before", "0 unusable", 0, "")
    again = Outcome("F8 saved again", "when there is room", AGAIN_S, "s")
    learns = Outcome("F8 learners that stood still", "0", 0, "")
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
        summary = agent.stop()
        intact.values.append(count_unusable(find_checkpoints(agent.folder)[:1]))
    learns.notes = f"{summary['trainer_restarts']} restarts of the trainer"
    return [warned, intact, again, learns, longest_tick("F8", summary)]


def _fill_once(agent: AgentProcess, disk: Path) -> tuple[float, float, float, float]:
    """Fill the disk for a while.

    Returns:
        Warnings, unusable checkpoints, learners that stood still, seconds until the next save.
    """
    before, warnings = ask(agent.folder, "status"), _warnings(agent)
    saved = find_checkpoints(agent.folder)
    filler = fill(disk)
    if not wait_until(lambda: _warnings(agent) > warnings, LIMIT_S, 0.2):
        raise RuntimeError(f"no warning within {LIMIT_S:.0f} s")
    time.sleep(FULL_S)
    now = ask(agent.folder, "status")
    lines, bad = _warnings(agent) - warnings, count_unusable(saved)
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


def _warnings(agent: AgentProcess) -> int:
    return sum(WARNING in line["text"] for line in ask(agent.folder, "status")["messages"])


def _standing_still(before: dict[str, Any], now: dict[str, Any]) -> int:
    return sum(
        now["learners"][role]["updates"] <= before["learners"][role]["updates"]
        for role in ("encoder", "dynamics", "policy")
    )
