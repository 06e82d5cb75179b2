"""F12: a second agent wants a port that the first one holds, or its run folder."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from agent.osc.ports import bind_tcp, bind_udp
from pamiq_lightning.checkpoint.store import find_checkpoints
from tools.faults.outcome import Outcome
from tools.faults.run import Runner

REFUSED_S = 2.0
END_LIMIT_S = 60.0


def run(trials: int) -> list[Outcome]:
    """Start a second agent on each port of the first, and in its run folder, `trials` times."""
    with bind_tcp("127.0.0.1", 0) as tcp, bind_udp("127.0.0.1", 0) as udp:
        ports = {"api_port": tcp.getsockname()[1], "osc_port": udp.getsockname()[1]}
    outcomes = [_outcome(f"F12 {key} taken") for key in (*ports, "run folder")]
    with tempfile.TemporaryDirectory(prefix="pamiq-faults-") as folder:
        first = Runner(Path(folder), *(f"{key}={port}" for key, port in ports.items()))
        try:
            _wait_for_checkpoint(first)
            wanted = [
                *(([f"runs={folder}", f"{key}={port}"], str(port)) for key, port in ports.items()),
                ([f"resume={first.folder}", *(f"{key}=null" for key in ports)], str(first.folder)),
            ]
            for _ in range(trials):
                for outcome, (arguments, named) in zip(outcomes, wanted, strict=True):
                    _start_second(outcome, arguments, named, _family(first))
        finally:
            first.kill()
    return outcomes


def _family(run: Runner) -> list[int]:
    """Return the agent's process and those below it: the embedded world has one of its own."""
    agent = psutil.Process(run.process.pid)
    return [process.pid for process in (agent, *agent.children(recursive=True))]


def _wait_for_checkpoint(run: Runner) -> None:
    """Return when there is something that a second agent could go on from."""
    end = time.monotonic() + END_LIMIT_S
    while not find_checkpoints(run.folder):
        if time.monotonic() > end:
            raise RuntimeError(f"{run.folder} has no checkpoint after {END_LIMIT_S:.0f} s")
        time.sleep(0.2)


def _outcome(fault: str) -> Outcome:
    required = f"exit code != 0 in <= {REFUSED_S:.0f} s, says who holds it"
    return Outcome(fault, required, REFUSED_S, "s")


def _start_second(outcome: Outcome, arguments: list[str], named: str, holders: list[int]) -> None:
    """Start it; it must end at once, naming what is held and its holder."""
    begin = [] if arguments[0].startswith("resume=") else ["conf=debug", "world=embedded"]
    started = time.monotonic()
    second = subprocess.run(
        [sys.executable, "-m", "agent.run", *begin, *arguments, "steps=10"],
        capture_output=True,
        text=True,
        timeout=END_LIMIT_S,
        check=False,
    )
    took = time.monotonic() - started
    said = second.stderr.strip()
    told = named in said and any(f"process {holder}" in said for holder in holders)
    outcome.values.append(took if second.returncode != 0 and told else None)
    outcome.notes = said.splitlines()[-1][:100] if said else "said nothing"
