"""Logs to Aim through a process of its own, which is abandoned where it fails or hangs."""

from __future__ import annotations

import pickle
import queue
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from pamiq_lightning.trainer.aim_process import AimTarget, Parameters, Reply, Track
from pamiq_lightning.utils.processes import start_module, stop_signals_blocked

QUEUE_LENGTH = 10_000
FIRST_DELAY_S, LONGEST_DELAY_S = 1.0, 60.0
"""Delays before Aim is tried again: the first, doubled each time up to the longest."""
CLOSE_LIMIT_S = 10.0
_END_LIMIT_S = 5.0


class AimError(Exception):
    """The process that writes to Aim has failed; the message says why."""

    def __init__(self, reason: str, permanent: bool = False) -> None:
        super().__init__(reason)
        self.permanent = permanent


class AimLog:
    """Writes records to Aim without ever waiting for it.

    Where Aim fails, a message is sent, records are kept, and a new process is started after a
    while. Where Aim is missing, the caller continues without it.

    Attributes:
        lost: records left out, because Aim was too slow or failed while it wrote them.

    Args:
        target: where to write.
        notify: takes messages for the person; any thread may call it.
        quiet: drop what Aim prints, instead of sending it to the standard error.
    """

    def __init__(
        self, target: AimTarget, notify: Callable[[str], object], quiet: bool = False
    ) -> None:
        self._target, self._notify = target, notify
        self._stderr = subprocess.DEVNULL if quiet else None
        self._queue: queue.SimpleQueue[Track | Parameters | None] = queue.SimpleQueue()
        self._given_up, self._closing = threading.Event(), threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._failing, self._delay = False, FIRST_DELAY_S
        self.lost = 0
        self._thread = threading.Thread(target=self._run, name="aim", daemon=True)
        self._thread.start()

    def put(self, record: Track | Parameters) -> None:
        """Queue a record; never waits."""
        if self._given_up.is_set():
            return
        if self._queue.qsize() < QUEUE_LENGTH:
            self._queue.put(record)
            return
        self.lost += 1
        if self.lost == 1:
            self._notify("Aim is too slow: some records are left out of it")

    def close(self, timeout: float = CLOSE_LIMIT_S) -> None:
        """Write what is queued, or give up after `timeout` seconds."""
        self._closing.set()
        self._queue.put(None)
        self._thread.join(timeout)
        if self._thread.is_alive():
            self._given_up.set()
            left = self.lost + self._queue.qsize()
            self._notify(f"Aim did not finish within {timeout:.0f} s; records left out: {left}")
            if self._process is not None:
                self._process.kill()

    def _run(self) -> None:
        while not self._given_up.is_set():
            try:
                return self._write_all()
            except AimError as failure:
                if self._given_up.is_set():
                    return
                self._report(failure)
                if failure.permanent or self._closing.is_set():
                    self._given_up.set()
                    return
            # A last try is made at the end.
            self._closing.wait(self._delay)
            self._delay = min(2 * self._delay, LONGEST_DELAY_S)

    def _report(self, failure: AimError) -> None:
        """Send one message for all failures in a row."""
        if failure.permanent:
            self._notify(f"Aim is not available ({failure}): logging continues without it")
        elif self._closing.is_set():
            left = self.lost + max(self._queue.qsize() - 1, 0)
            self._notify(f"Aim failed at the end ({failure}); records left out: {left}")
        elif not self._failing:
            self._notify(f"Aim takes no records ({failure}): they are kept, and it is tried again")
        self._failing = True

    def _write_all(self) -> None:
        """Write until the end.

        Raises:
            AimError: a new process may succeed.
        """
        with self._start() as process:
            self._exchange(process, self._target)
            while (record := self._queue.get()) is not None:
                try:
                    self._exchange(process, record)
                except AimError:
                    self.lost += 1
                    raise
                self._report_recovery()
            self._exchange(process, None)

    def _report_recovery(self) -> None:
        self._delay = FIRST_DELAY_S
        if self._failing:
            self._failing = False
            self._notify(f"Aim takes records again; left out so far: {self.lost}")

    @contextmanager
    def _start(self) -> Iterator[subprocess.Popen[bytes]]:
        """Start the process; at the end of the body, end it whatever it does."""
        try:
            with stop_signals_blocked():
                process = start_module(
                    "pamiq_lightning.trainer.aim_process", subprocess.PIPE, self._stderr
                )
        except OSError as error:
            raise AimError(f"its process could not be started: {error.strerror}") from error
        self._process = process
        try:
            yield process
        finally:
            for stream in (process.stdin, process.stdout):
                # Closing flushes, and nobody may read any more.
                with suppress(OSError):
                    stream.close()  # type: ignore[union-attr]
            with suppress(subprocess.TimeoutExpired):
                process.wait(_END_LIMIT_S)
            process.kill()
            # A process that waits for a dead disk cannot be killed; it is left behind.
            with suppress(subprocess.TimeoutExpired):
                process.wait(_END_LIMIT_S)

    def _exchange(
        self, process: subprocess.Popen[bytes], message: AimTarget | Track | Parameters | None
    ) -> None:
        """Send a message and return when it was answered.

        Raises:
            AimError: it failed, or there is no answer any more.
        """
        assert process.stdin is not None and process.stdout is not None
        try:
            pickle.dump(message, process.stdin)
            process.stdin.flush()
            reply: Reply = pickle.load(process.stdout)
        except (OSError, EOFError) as error:
            raise AimError("its process hung or was ended") from error
        for note in reply.notes:
            self._notify(note)
        if reply.error:
            raise AimError(reply.error, reply.permanent)
