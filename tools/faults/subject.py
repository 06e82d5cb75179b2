"""What faults are injected into: agents in the embedded world and in VRChat's emulator."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pamiq_lightning.checkpoint.snapshot import Checkpoint, check_fit, read_checkpoint
from pamiq_lightning.checkpoint.store import CheckpointError
from pamiq_lightning.utils.console import safe_print
from tools.agent_process import (
    END_LIMIT_S,
    ENDLESS,
    START_LIMIT_S,
    AgentProcess,
    start_agent,
    wait_until,
)
from tools.faults.outcome import Outcome
from tools.faults.relay import Relay
from tools.parts import build_parts, load_settings

RATE_HZ = 10
PERIOD_MS = 1000 / RATE_HZ
_DEBUG = ("conf=debug", f"rate={RATE_HZ}", *ENDLESS)


def start_debug_agent(
    runs: Path, *settings: str, environment: Mapping[str, str] | None = None
) -> AgentProcess:
    """Return an endless run of conf=debug in the embedded world, about to make its first tick."""
    return start_agent(runs, *_DEBUG, "trainer.save_every=1", *settings, environment=environment)


@contextmanager
def debug_agent(
    *settings: str, environment: Mapping[str, str] | None = None
) -> Iterator[AgentProcess]:
    """Run such an agent in a temporary folder; kill what still runs of it at the end."""
    with (
        tempfile.TemporaryDirectory(prefix="pamiq-faults-") as runs,
        start_debug_agent(Path(runs), *settings, environment=environment) as agent,
    ):
        yield agent


def short_run(
    prefix: Sequence[str] = (), runs: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Do a run of conf=debug of a second or so to its end, below a command that hurts it.

    Args:
        prefix: the command, which runs the rest of its arguments.
        runs: folder of the run; default: a temporary one.
    """
    with tempfile.TemporaryDirectory(prefix="pamiq-faults-") as folder:
        settings = ("conf=debug", "world=embedded", "steps=30", "trainer.aim=false")
        return subprocess.run(
            [*prefix, sys.executable, "-m", "agent.run", *settings, f"runs={runs or folder}"],
            capture_output=True,
            text=True,
            timeout=START_LIMIT_S + END_LIMIT_S,
            check=False,
        )


def usable(folder: Path) -> Checkpoint | None:
    """Return a checkpoint of conf=debug; print why, and return None, where it cannot be used."""
    try:
        checkpoint = read_checkpoint(folder)
        check_fit(checkpoint, build_parts(load_settings("conf=debug")).learners)
    except CheckpointError as error:
        safe_print(error)
        return None
    return checkpoint


def count_unusable(folders: Sequence[Path]) -> float:
    """Return how many checkpoints cannot be used; one that is pruned meanwhile does not count."""
    return float(sum(usable(folder) is None and folder.exists() for folder in folders))


def longest_tick(fault: str, summary: Mapping[str, Any]) -> Outcome:
    """Return the outcome of a fault for the ticks of a run."""
    outcome = Outcome(f"{fault}: longest tick", "acting unaffected", PERIOD_MS, "ms")
    outcome.values.append(summary["tick_ms"]["max"])
    outcome.notes = f"{summary['missed_ticks']} of {summary['ticks']} ticks missed"
    return outcome


class Client:
    """VRChat's emulator, commanded over its standard input."""

    def __init__(self, size: tuple[int, int] = (480, 360)) -> None:
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "agent.worlds", "--osc_in=0", "--faults=true"),
                *("--width=144", "--height=144", f"--window_size={list(size)}"),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.port = int(self._line().removeprefix("OSC in on ").split(",")[0])

    def send(self, command: str) -> float:
        """Give a command; return when it was done (monotonic s)."""
        assert self._process.stdin is not None
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        return float(self._line().split()[1])

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the emulator ended; is there an X display (xvfb-run)?")
        return line

    def close(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait()


class VRChatAgent(AgentProcess):
    """An agent with a random policy in VRChat's emulator, connected through a relay.

    Its reward fails when triggered.
    """

    def __init__(self, relay_port: int, *settings: str) -> None:
        self._runs = tempfile.TemporaryDirectory(prefix="pamiq-faults-")
        runs = Path(self._runs.name)
        self._trigger = runs / "trigger"
        curiosity = {
            "class_path": "tools.faults.curiosity.TriggeredFault",
            "init_args": {"trigger": str(self._trigger)},
        }
        super().__init__(
            runs,
            *(*_DEBUG, "world=vrchat", f"osc_port={relay_port}", "vrchat.countdown_s=0"),
            *("policy=random", f"curiosity={json.dumps(curiosity)}", *settings),
        )

    def fail(self, command: str) -> float:
        """Let its reward `raise` or `hang SECONDS`; return when that began (monotonic s)."""
        done = self._trigger.with_suffix(".done")
        done.unlink(missing_ok=True)
        pending = self._trigger.with_suffix(".new")
        pending.write_text(command)
        pending.rename(self._trigger)
        if not wait_until(lambda: done.exists() and done.read_text(), 30.0, 0.005):
            raise TimeoutError("the reward did not read its trigger")
        return float(done.read_text())

    def wait_until_moving(self, relay: Relay) -> None:
        """Return when an input is held for the first time.

        Raises:
            RuntimeError: it ended before, or none was within two minutes.
        """
        wait_until(lambda: relay.moving() or not self.alive, START_LIMIT_S)
        if not self.alive or not relay.moving():
            raise RuntimeError(f"the agent did not begin to move:\n{self.output}")

    def kill(self) -> None:
        """Kill what still runs of it, and remove its run."""
        super().kill()
        self._runs.cleanup()
