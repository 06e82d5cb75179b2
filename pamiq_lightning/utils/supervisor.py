"""Supervision of a child process: start, watch, restart with backoff, join, kill."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess

from pamiq_lightning.utils.processes import stop_signals_blocked

FIRST_DELAY_S, LONGEST_DELAY_S = 0.25, 60.0
"""Delays before a restart: the first, doubled each time up to the longest."""
STOP_TIMEOUT_S = 20.0
"""How long a process may take to finish before `join` kills it."""


class SupervisedProcess:
    """A child process that is restarted when it died or hangs.

    Attributes:
        process: the newest process.
        restarts: how often a process was replaced.

    Args:
        name: of the process, for messages.
        clock: returns monotonic seconds.
    """

    process: BaseProcess

    def __init__(self, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.restarts = 0
        self._name, self._clock = name, clock
        self._start_error: BaseException | None = None
        self._delay, self._restart_at, self._progress = FIRST_DELAY_S, math.inf, 0
        self._stopping = False

    def start(self, process: BaseProcess) -> None:
        """Start a process in a thread, because the first start takes seconds."""
        self.process, self._start_error = process, None
        self._started_at = self._clock()
        self._thread = threading.Thread(target=self._start_process, name="starting", daemon=True)
        self._thread.start()

    def _start_process(self) -> None:
        try:
            with stop_signals_blocked():
                self.process.start()
        # Raised again in `wait_started`.
        except BaseException as error:
            self._start_error = error

    def wait_started(self) -> None:
        """Return when the process runs.

        Raises:
            OSError: the system could not start it.
        """
        self._thread.join()
        if self._start_error is not None:
            raise self._start_error

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self.process.is_alive()

    def supervise(
        self,
        now: float,
        restart: Callable[[], object],
        progress: int,
        heartbeat: float = math.inf,
        timeout_s: float = math.inf,
    ) -> str | None:
        """Plan a restart if the process died or hangs, and restart it when that is due.

        The delay before a restart doubles each time; it is short again once a process has made
        progress. Call this a few times a second.

        Args:
            now: monotonic seconds.
            restart: starts a new process; it may raise OSError.
            progress: a count that rises as the process works.
            heartbeat: when the process last showed activity, in monotonic seconds.
            timeout_s: time without a heartbeat after which the process counts as hanging.

        Returns:
            What happened, in one line, or None.
        """
        if self._stopping:
            return None
        if self._restart_at < math.inf:
            return self._replace(now, restart, progress) if now >= self._restart_at else None
        if self.alive and now - max(heartbeat, self._started_at) > timeout_s:
            self.kill()
            return self._plan_restart(now, progress, f"hangs ({timeout_s:.0f} s without heartbeat)")
        if not self.alive:
            return self._plan_restart(now, progress, f"ended (exit code {self.process.exitcode})")
        return None

    def _replace(self, now: float, restart: Callable[[], object], progress: int) -> str | None:
        try:
            restart()
        except OSError as error:
            return self._plan_restart(now, progress, f"could not be started ({error.strerror})")
        self._restart_at = math.inf
        self.restarts += 1
        return None

    def _plan_restart(self, now: float, progress: int, event: str) -> str:
        delay = self._delay if progress == self._progress else FIRST_DELAY_S
        self._progress, self._restart_at = progress, now + delay
        self._delay = min(2 * delay, LONGEST_DELAY_S)
        return f"the {self._name} {event}; a new one starts in {delay:.3g} s"

    def join(self) -> bool:
        """Wait for the process to end, kill it if it takes too long; return whether it ended well.

        It is not restarted from then on.
        """
        self._stopping = True
        self._thread.join()
        if self.alive:
            self.process.join(STOP_TIMEOUT_S)
        self.kill()
        return self.process.exitcode == 0

    def kill(self) -> None:
        """Kill the process, if it runs."""
        self._thread.join()
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
