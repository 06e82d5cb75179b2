"""The watchdog process. Standard library only: it starts in about 20 ms.

Started by `agent.osc.watchdog` with HEARTBEAT_FILE HOST PORT LIMIT_S PARENT_PID DATAGRAM..., the
datagrams in hex.
The heartbeat file holds two doubles: the agent's last heartbeat in monotonic seconds, or RELEASED
when no input is held; and the number of releases, written here. Standard input is a pipe that
closes when the agent's process ends.
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

from pamiq_lightning.utils.console import open_missing_streams, print_error, safe_print

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

RELEASED = 0.0
READY = "ready"
QUIT = b"q"
_POLL_S = 0.02
_TIMES = 3
_SPACING_S = 0.05


class Inputs:
    """The inputs of the agent, and the neutral message of each."""

    def __init__(self, host: str, port: int, datagrams: list[bytes]) -> None:
        self._target = (host, port)
        self._datagrams = datagrams
        # Not connected: a missing listener must not raise here.
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def release(self) -> None:
        """Send neutral on every address once."""
        for datagram in self._datagrams:
            try:
                self._socket.sendto(datagram, self._target)
            except OSError as error:
                print_error(f"watchdog: cannot send: {error}")


class Agent:
    """The agent as seen from the watchdog process."""

    def __init__(self, heartbeat: memoryview[float], pid: int) -> None:
        self._heartbeat = heartbeat
        self._pid = pid
        self.gone = threading.Event()
        self.closed = False
        threading.Thread(target=self._listen, daemon=True).start()

    def last_beat(self) -> float:
        """Return the last heartbeat in monotonic seconds, or RELEASED."""
        return self._heartbeat[0]

    def count_release(self) -> None:
        """Count a release where the agent reads it."""
        self._heartbeat[1] += 1.0

    def wait(self, seconds: float) -> bool:
        """Wait; return whether the agent's process is gone."""
        # A forked child may keep the pipe open, so the parent pid is checked too.
        if self.gone.wait(seconds):
            return True
        return sys.platform != "win32" and os.getppid() != self._pid

    def sleep(self, seconds: float) -> None:
        """Wait after the agent is gone."""
        time.sleep(seconds)

    def _listen(self) -> None:
        self.closed = os.read(0, 1) == QUIT
        self.gone.set()


def watch(
    agent: Agent, inputs: Inputs, limit_s: float, clock: Callable[[], float] = time.monotonic
) -> None:
    """Release inputs when heartbeats stop, and when the agent is gone; then return."""
    handled = RELEASED
    while not agent.wait(_POLL_S):
        beat = agent.last_beat()
        silence = clock() - beat
        if beat in (RELEASED, handled) or silence <= limit_s:
            continue
        handled = beat
        for _ in range(_TIMES):
            # An agent that beats again must not be stopped by a repeated release.
            if agent.last_beat() == beat:
                inputs.release()
                agent.wait(_SPACING_S)
        agent.count_release()
        print_error(f"watchdog: no heartbeat for {silence:.2f} s: all inputs are released")
    if not agent.closed:
        for _ in range(_TIMES):
            inputs.release()
            agent.sleep(_SPACING_S)
        print_error("watchdog: the agent's process is gone: all inputs are released")


def main(arguments: list[str]) -> None:
    """Watch until the agent's process ends."""
    open_missing_streams()
    heartbeat_file, host, port, limit_s, pid, *datagrams = arguments
    path = Path(heartbeat_file)
    inputs = Inputs(host, int(port), [bytes.fromhex(text) for text in datagrams])
    # Signals that end the agent must not end the watchdog first.
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    with path.open("r+b") as file:
        memory = mmap.mmap(file.fileno(), 16)
    agent = Agent(memoryview(memory).cast("d"), int(pid))
    safe_print(READY)
    try:
        watch(agent, inputs, float(limit_s))
    finally:
        path.unlink(missing_ok=True)


if __name__ == "__main__":
    main(sys.argv[1:])
