"""F17: agents in containers: other process numbers, and a CPU quota."""

from __future__ import annotations

import subprocess
import sys
import time

from tools.agent_process import END_LIMIT_S, AgentProcess
from tools.faults.machine import cpu_quota, in_pid_namespace
from tools.faults.outcome import Outcome
from tools.faults.subject import debug_agent, short_run

READY_S = 30.0


def run(trials: int) -> list[Outcome]:
    """Start a second agent in another process namespace; then kill the first one's trainer."""
    replaced = Outcome("F17 trainer replaced after a start elsewhere", "yes", READY_S, "s")
    stopped = Outcome("F17 stops of a run from elsewhere, no process hit", "all", 0, "others hit")
    with debug_agent() as first:
        first.wait_for_checkpoint()
        for _ in range(trials):
            _start_elsewhere()
            replaced.values.append(_replace_trainer(first))
        stopped.values.append(_stop_elsewhere(first))
    return [replaced, stopped, _quota_reported()]


def _quota_reported() -> Outcome:
    """Do a short run with a CPU quota."""
    outcome = Outcome("F17 CPU quota", "said at the start", 1, "lines")
    with cpu_quota(1.5) as prefix:
        done = short_run(prefix)
    lines = [line for line in done.stdout.splitlines() if "CPU quota" in line]
    outcome.values.append(float(len(lines)) if lines and not done.returncode else None)
    outcome.notes = lines[0] if lines else "no line"
    return outcome


def _start_elsewhere() -> None:
    """Do a whole short run in another process namespace."""
    short_run(in_pid_namespace([])).check_returncode()


def _replace_trainer(agent: AgentProcess) -> float | None:
    """Kill the trainer; return how long a new one takes to be ready, or None if none is."""
    starts, trainer = agent.trainer_starts(), agent.trainer()
    assert trainer is not None
    began = time.monotonic()
    trainer.kill()
    return time.monotonic() - began if agent.wait_for_new_trainer(starts, READY_S) else None


def _stop_elsewhere(agent: AgentProcess) -> float:
    """Stop the run from another namespace, without its API; return how many other processes ended.

    The number in the run's lock is that of a process of the other namespace.
    """
    script = """
import subprocess, sys
from pathlib import Path
from agent import ctl
from agent.run_dir import ADDRESS, LOCK_FILE
folder = Path(sys.argv[1])
bystander = subprocess.Popen([sys.executable, "-c", "input()", "agent.run"], stdin=subprocess.PIPE)
(folder / LOCK_FILE).write_text(str(bystander.pid))
(folder / ADDRESS).unlink()
try:
    ctl.stop(folder)
except ctl.CommandError as error:
    print(error)
else:
    print("it was not refused")
print("hit" if bystander.poll() is not None else "spared")
bystander.kill()
"""
    done = subprocess.run(
        in_pid_namespace([sys.executable, "-c", script, str(agent.folder)]),
        capture_output=True,
        text=True,
        timeout=2 * END_LIMIT_S,
        check=False,
    )
    spared = "not one of yours here" in done.stdout and done.stdout.endswith("spared\n")
    return 0.0 if spared and agent.alive else 1.0
