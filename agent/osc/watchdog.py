"""Lets go of every input when the agent hangs or dies, from a process of its own."""

from __future__ import annotations

import logging
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

_log = logging.getLogger(__name__)
LIMIT_S = 0.5
"""Longest silence of a moving agent before its inputs are let go."""
_START_TIMEOUT_S = 5.0


class Watchdog:
    """Starts the watching process and tells it, once a tick, that the agent is alive.

    While the agent moves, every tick must `beat`. After `rest`, which says that nothing is held,
    silence is allowed: paused or counting down, the agent need not beat. When the agent's process
    ends in whatever way without `close`, the watchdog lets go at once and then ends itself.

    Args:
        host: where VRChat runs; a name or an IPv4 address.
        port: the UDP port it listens on.
        limit_s: longest silence between two beats.

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
        """How often the watchdog let go while the agent was silent."""
        return int(self._shared[1])

    @property
    def pid(self) -> int:
        """The watching process."""
        return self._process.pid

    def beat(self) -> None:
        """Say that the agent is alive and may be holding inputs. Costs a microsecond or two.

        A watchdog that died is replaced.
        """
        self._shared[0] = time.monotonic()
        if self._process.poll() is not None and not self._closed:
            _log.warning(
                "the watchdog process ended (code %s); starting another", self._process.poll()
            )
            self._end_process()
            self._process = self._start()

    def release_inputs(self) -> None:
        """Say that nothing is held, so that silence is no danger."""
        if not self._closed:
            self._shared[0] = watchdog_process.RESTING

    def close(self) -> None:
        """End the watching process; call it after resting. May be called twice."""
        if self._closed:
            return
        self._closed = True
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(watchdog_process.QUIT)
            self._process.stdin.flush()
        except OSError:
            _log.warning("the watchdog process ended before it was told to")
        self._end_process()
        self._shared.release()
        self._memory.close()
        self._path.unlink(missing_ok=True)

    def _start(self) -> subprocess.Popen[bytes]:
        messages = [encode(address, value).hex() for address, value in NEUTRAL.items()]
        host, port = self._target
        # Isolated and without site-packages, it starts in a tenth of the time.
        command = [sys.executable, "-I", "-S", str(watchdog_process.__file__), str(self._path)]
        arguments = [host, str(port), str(self._limit_s), str(os.getpid()), *messages]
        flags = 0
        if sys.platform == "win32":
            flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW
        return subprocess.Popen(
            command + arguments,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # Neither Ctrl-C nor the closing of the terminal ends it together with the agent.
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
                "The watchdog process did not start, and without it the agent must not move: see "
                "its message above; is the Python interpreter allowed to start processes?"
            )

    def _end_process(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            try:
                pipe.close()
            except BrokenPipeError:
                continue  # Unsent bytes to a process that is gone.
        try:
            self._process.wait(timeout=1.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
