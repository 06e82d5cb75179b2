"""Releases every input when the agent hangs or dies, from a process of its own."""

from __future__ import annotations

import mmap
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from agent.actions import NEUTRAL
from agent.osc import watchdog_process
from agent.osc.sender import encode
from pamiq_lightning.utils.console import print_error

_PROGRAM = """import sys
sys.path.append(sys.argv.pop(1))
from agent.osc.watchdog_process import main
main(sys.argv[1:])
"""
LIMIT_S = 0.5
"""Longest time (s) without a heartbeat before all inputs are released."""
_START_TIMEOUT_S = 5.0


class Watchdog:
    """Starts the watchdog process and sends it a heartbeat once a tick.

    While inputs are held, every tick must `beat`. After `release_inputs` no heartbeat is due: the
    agent may pause or count down. When the agent's process ends without `close`, in any way, the
    watchdog releases all inputs at once and ends.

    Args:
        host: where VRChat runs; a name or an IPv4 address.
        port: the UDP port it listens on.
        limit_s: longest time between two heartbeats.

    Raises:
        OSError: `host` is unknown.
        RuntimeError: the process does not start.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 9000, limit_s: float = LIMIT_S) -> None:
        self._target = (socket.gethostbyname(host), port)
        self._limit_s = limit_s
        handle, name = tempfile.mkstemp(prefix="pamiq-heartbeat-")
        self._path = Path(name)
        with os.fdopen(handle, "r+b") as file:
            file.write(bytes(16))
            file.flush()
            self._memory = mmap.mmap(file.fileno(), 16)
        self._shared = memoryview(self._memory).cast("d")
        self._closed = False
        self._process = self._start()
        self._wait_until_ready()

    @property
    def releases(self) -> int:
        """How often the watchdog released inputs for want of a heartbeat."""
        return int(self._shared[1])

    @property
    def pid(self) -> int:
        """Process id of the watchdog."""
        return self._process.pid

    def beat(self) -> None:
        """Send a heartbeat; costs a microsecond or two. A dead watchdog process is replaced."""
        self._shared[0] = time.monotonic()
        if self._process.poll() is not None and not self._closed:
            code = self._process.returncode
            print_error(f"the watchdog process ended (code {code}); starting another")
            self._end_process()
            self._process = self._start()

    def release_inputs(self) -> None:
        """Declare that no input is held: no heartbeat is due."""
        if not self._closed:
            self._shared[0] = watchdog_process.RELEASED

    def close(self) -> None:
        """End the watchdog process; release the inputs first. May be called twice."""
        if self._closed:
            return
        self._closed = True
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(watchdog_process.QUIT)
            self._process.stdin.flush()
        except OSError:
            print_error("the watchdog process ended before it was closed")
        self._end_process()
        self._shared.release()
        self._memory.close()
        self._path.unlink(missing_ok=True)

    def _start(self) -> subprocess.Popen[bytes]:
        messages = [encode(address, value).hex() for address, value in NEUTRAL.items()]
        host, port = self._target
        # Isolated and without site-packages it starts in a tenth of the time.
        command = [sys.executable, "-I", "-S", "-c", _PROGRAM, str(Path(__file__).parents[2])]
        arguments = [host, str(port), str(self._limit_s), str(os.getpid()), *messages]
        flags = 0
        if sys.platform == "win32":
            flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW
        return subprocess.Popen(
            [*command, str(self._path), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # Neither Ctrl-C nor a closed terminal ends it together with the agent.
            start_new_session=True,
            creationflags=flags,
        )

    def _wait_until_ready(self) -> None:
        assert self._process.stdout is not None
        stop = threading.Timer(_START_TIMEOUT_S, self._process.kill)
        stop.start()
        ready = self._process.stdout.readline()
        stop.cancel()
        if ready.strip() != watchdog_process.READY.encode():
            self.close()
            raise RuntimeError(
                "The watchdog process did not start, and the agent must not act without it: read "
                "its message above; is the Python interpreter allowed to start processes?"
            )

    def _end_process(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            try:
                pipe.close()
            except BrokenPipeError:
                continue  # Unsent bytes to a dead process.
        try:
            self._process.wait(timeout=1.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
