"""The watchdog's own process. Standard library only, so that it starts in some 20 ms.

Started by `agent.osc.watchdog` as
`watchdog_process.py HEARTBEAT_FILE HOST PORT LIMIT_S PARENT_PID DATAGRAM...`, the datagrams in hex.
The heartbeat file holds two doubles: the agent's last sign of life in monotonic seconds, or RESTING
when nothing is held, and, written here, how often inputs were let go. Standard input is a pipe that
closes when the agent's process ends, however it ends.
"""

from __future__ import annotations

import mmap
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

RESTING = 0.0
READY = "ready"
QUIT = b"q"
_POLL_S = 0.02
_TIMES = 3
_SPACING_S = 0.05


class Inputs:
    """Everything the agent can press, and how to let go of it."""

    def __init__(self, host: str, port: int, datagrams: list[bytes]) -> None:
        self._target = (host, port)
        self._datagrams = datagrams
        # Not connected: nobody listening must not turn into errors here.
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def let_go(self) -> None:
        """Send neutral on every address once."""
        for datagram in self._datagrams:
            try:
                self._socket.sendto(datagram, self._target)
            except OSError as error:
                _safe_print(f"cannot send: {error}")


class Agent:
    """What can be known about the agent from outside."""

    def __init__(self, heartbeat: memoryview[float], pid: int) -> None:
        self._heartbeat = heartbeat
        self._pid = pid
        self.gone = threading.Event()
        self.said_goodbye = False
        threading.Thread(target=self._listen, daemon=True).start()

    def last_beat(self) -> float:
        """Return monotonic seconds, or RESTING."""
        return self._heartbeat[0]

    def count_release(self) -> None:
        """Let the agent know that its inputs were let go."""
        self._heartbeat[1] += 1.0

    def wait(self, seconds: float) -> bool:
        """Wait a little; return whether the agent's process is gone."""
        # A forked child may keep the pipe open, hence the second look.
        if self.gone.wait(seconds):
            return True
        return sys.platform != "win32" and os.getppid() != self._pid

    def wait_anyway(self, seconds: float) -> None:
        """Wait although the agent is gone."""
        time.sleep(seconds)

    def _listen(self) -> None:
        self.said_goodbye = os.read(0, 1) == QUIT
        self.gone.set()


def watch(
    agent: Agent, inputs: Inputs, limit_s: float, clock: Callable[[], float] = time.monotonic
) -> None:
    """Let go whenever the agent is silent for too long, and when it is gone; then return."""
    handled = RESTING
    while not agent.wait(_POLL_S):
        beat = agent.last_beat()
        silence = clock() - beat
        if beat in (RESTING, handled) or silence <= limit_s:
            continue
        handled = beat
        for _ in range(_TIMES):
            # An agent that moves again must not be stopped by a repetition.
            if agent.last_beat() == beat:
                inputs.let_go()
                agent.wait(_SPACING_S)
        agent.count_release()
        _safe_print(f"no action for {silence:.2f} s: all inputs were let go")
    if not agent.said_goodbye:
        for _ in range(_TIMES):
            inputs.let_go()
            agent.wait_anyway(_SPACING_S)
        _safe_print("the agent's process is gone: all inputs were let go")


def _safe_print(text: str) -> None:
    try:
        print(f"watchdog: {text}", file=sys.stderr, flush=True)
    except OSError:
        return  # The terminal is gone, which is one of the cases this process is for.


def main(arguments: list[str]) -> None:
    """Watch until the agent's process ends."""
    name, host, port, limit_s, pid, *datagrams = arguments
    path = Path(name)
    inputs = Inputs(host, int(port), [bytes.fromhex(text) for text in datagrams])
    # What is meant to end the agent must not end this first: it ends itself after the agent.
    for ending in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, ending):
            signal.signal(getattr(signal, ending), signal.SIG_IGN)
    with path.open("r+b") as file:
        memory = mmap.mmap(file.fileno(), 16)
    agent = Agent(memoryview(memory).cast("d"), int(pid))
    print(READY, flush=True)
    try:
        watch(agent, inputs, float(limit_s))
    finally:
        path.unlink(missing_ok=True)


if __name__ == "__main__":
    main(sys.argv[1:])
