"""How this project starts processes of its own, and what all of them have in common.

Where the system has it, a fork server: a process that has imported what is heavy and then only
forks, so that a trainer that died is replaced in a moment. (A plain fork hangs in the child once
torch has used its threads.) Elsewhere every process imports for itself.
"""

from __future__ import annotations

import multiprocessing as mp
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.context import ForkServerContext, SpawnContext
from multiprocessing.process import BaseProcess

PRELOAD = ["pamiq_lightning.trainer.main"]
"""What the fork server imports before its first child."""
STOP_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")


def context() -> ForkServerContext | SpawnContext:
    """Return the way processes are started here."""
    # Threads of one pool that spin while they wait take the core from the agent.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if "forkserver" not in mp.get_all_start_methods():
        return mp.get_context("spawn")
    server = mp.get_context("forkserver")
    server.set_forkserver_preload(PRELOAD)
    return server


FIRST_DELAY_S, LONGEST_DELAY_S = 0.25, 60.0
"""Waits before a process is replaced: the first, doubling up to the last."""


class Backoff:
    """How long to wait before a process that ended is replaced: each time twice as long."""

    def __init__(self) -> None:
        self._delay = FIRST_DELAY_S

    def next(self) -> float:
        """Return the seconds to wait this time."""
        delay = self._delay
        self._delay = min(2 * delay, LONGEST_DELAY_S)
        return delay

    def reset(self) -> None:
        """Begin with short waits again: it has been of use."""
        self._delay = FIRST_DELAY_S


class Starting:
    """A process that is being started, while the caller goes on: a first start takes seconds."""

    def __init__(self, process: BaseProcess) -> None:
        self._process = process
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._start, name="starting", daemon=True)
        self._thread.start()

    def _start(self) -> None:
        try:
            with _stop_signals_blocked():
                self._process.start()
        # Raised again where somebody waits for it.
        except BaseException as error:
            self._error = error

    def settle(self) -> None:
        """Return when it runs, or could not be started."""
        self._thread.join()

    def wait(self) -> None:
        """Return when it runs.

        Raises:
            OSError: the system could not start it.
        """
        self.settle()
        if self._error is not None:
            raise self._error


@contextmanager
def _stop_signals_blocked() -> Iterator[None]:
    """Let a fork server begun here never see what is meant for the agent.

    Ctrl-C and a closed terminal reach the whole group; were the server to end, the agent would take
    its children for dead. The mask is this thread's alone, and is inherited.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    meant = {getattr(signal, name) for name in STOP_SIGNALS if hasattr(signal, name)}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, meant)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def ignore_stop_signals() -> None:
    """In a child: leave it to the agent what a signal to the whole group means."""
    for name in STOP_SIGNALS:
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)


def parent_lives() -> bool:
    """In a child: tell whether the agent still runs."""
    parent = mp.parent_process()
    return parent is None or parent.is_alive()
