"""F12: a second agent wants a port that the first one holds, or its run folder."""

from __future__ import annotations

import subprocess
import sys
import time

from agent.osc.ports import bind_tcp, bind_udp
from tools.agent_process import END_LIMIT_S
from tools.faults.outcome import Outcome
from tools.faults.subject import debug_agent

REFUSED_S = 2.0
REFUSED = f"exit code != 0 in <= {REFUSED_S:.0f} s, names the holder"


def run(trials: int) -> list[Outcome]:
    """Start a second agent on each port of the first, and in its run folder, in every trial."""
    with bind_tcp("127.0.0.1", 0) as tcp, bind_udp("127.0.0.1", 0) as udp:
        ports = {"api_port": tcp.getsockname()[1], "osc_port": udp.getsockname()[1]}
    outcomes = [
        Outcome(f"F12 {key} taken", REFUSED, REFUSED_S, "s") for key in (*ports, "run folder")
    ]
    given = [f"{key}={port}" for key, port in ports.items()]
    with debug_agent(*given) as first:
        first.wait_for_checkpoint()
        begin = ("conf=debug", "world=embedded", f"runs={first.folder.parent}")
        wanted = [
            *(([*begin, f"{key}={port}"], str(port)) for key, port in ports.items()),
            ([f"resume={first.folder}", *(f"{key}=null" for key in ports)], str(first.folder)),
        ]
        for _ in range(trials):
            for outcome, (arguments, held) in zip(outcomes, wanted, strict=True):
                # The embedded world has a process of its own.
                holders = [process.pid for process in first.processes()]
                _start_second(outcome, arguments, held, holders)
    return outcomes


def _start_second(outcome: Outcome, arguments: list[str], held: str, holders: list[int]) -> None:
    """Start it; it must end at once, naming what is held and its holder."""
    started = time.monotonic()
    second = subprocess.run(
        [sys.executable, "-m", "agent.run", *arguments, "steps=10"],
        capture_output=True,
        text=True,
        timeout=END_LIMIT_S,
        check=False,
    )
    took = time.monotonic() - started
    message = second.stderr.strip()
    named = held in message and any(f"process {holder}" in message for holder in holders)
    outcome.values.append(took if second.returncode != 0 and named else None)
    outcome.notes = message.splitlines()[-1][:100] if message else "no message"
