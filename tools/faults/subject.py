"""What the faults are injected into: the client's stand-in and the agent, as real processes."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

from agent.osc.ports import bind_udp
from tools.faults.relay import Relay

START_LIMIT_S = 120.0
RATE_HZ = 10


class Client:
    """`tools.fake_vrchat`, told what to do over its standard input."""

    def __init__(self, size: tuple[int, int] = (480, 360)) -> None:
        free = bind_udp("127.0.0.1", 0)
        self.port: int = free.getsockname()[1]
        free.close()
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "tools.fake_vrchat", "--port", str(self.port)),
                *("--size", str(size[0]), str(size[1])),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._line()

    def notify(self, command: str) -> float:
        """Give a command; return when it was done (monotonic s)."""
        assert self._process.stdin is not None
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        return float(self._line().split()[1])

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the client's stand-in ended; is there an X display (xvfb-run)?")
        return line

    def close(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait()


class Agent:
    """The whole agent under test, living in VRChat by way of a relay."""

    def __init__(self, relay_port: int, *settings: str) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="pamiq-faults-")
        self.folder = Path(self._folder.name)
        self._trigger = self.folder / "trigger"
        faulty = json.dumps(
            {
                "class_path": "tools.faults.curiosity.Faulty",
                "init_args": {"trigger": str(self._trigger)},
            }
        )
        self._lines: list[str] = []
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "agent.run", "conf=debug", "world=vrchat"),
                *(f"osc_port={relay_port}", f"runs={self.folder}", f"rate={RATE_HZ}"),
                *("vrchat.countdown_s=0", "trainer.aim=false"),
                *("steps=1000000", "policy=random", f"curiosity={faulty}", *settings),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.append(line)

    @property
    def output(self) -> str:
        """Everything it has said."""
        return "".join(self._lines)

    @property
    def alive(self) -> bool:
        """Whether its process runs."""
        return self.process.poll() is None

    def break_actor(self, command: str) -> float:
        """Let its mind `raise` or `hang SECONDS`; return when that began (monotonic s)."""
        done = self._trigger.with_suffix(".done")
        done.unlink(missing_ok=True)
        pending = self._trigger.with_suffix(".new")
        pending.write_text(command)
        pending.rename(self._trigger)
        end = time.monotonic() + 30
        while time.monotonic() < end:
            if done.exists() and (text := done.read_text()):
                return float(text)
            time.sleep(0.005)
        raise TimeoutError("the mind did not read its trigger")

    def family(self) -> list[psutil.Process]:
        """Return the agent's process and all below it, the watchdog left out."""
        root = psutil.Process(self.process.pid)
        return [
            process
            for process in (root, *root.children(recursive=True))
            if not any("watchdog_process" in word for word in process.cmdline())
        ]

    def close(self) -> None:
        """Kill what is left of it."""
        try:
            family = self.family()
        except psutil.NoSuchProcess:
            family = []
        for process in family:
            if process.is_running():
                process.kill()
        self.process.wait()
        self._reader.join(timeout=5)
        self._folder.cleanup()


def wait_until_alive(agent: Agent, relay: Relay) -> None:
    """Return when the agent has moved.

    Raises:
        RuntimeError: it ended, or did not within two minutes; its output is in the message.
    """
    end = time.monotonic() + START_LIMIT_S
    while agent.alive and time.monotonic() < end:
        if relay.moving():
            return
        time.sleep(0.02)
    raise RuntimeError(f"the agent did not come to move:\n{agent.output}")
