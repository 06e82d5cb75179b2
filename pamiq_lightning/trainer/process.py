"""The trainer as a process of its own, as the agent sees it: start, wake, wait, join.

Nothing heavy is imported here, so that the child loads torch while its parent still reads settings.
"""

from __future__ import annotations

import multiprocessing as mp
import os
import signal
import sys
import time
import traceback
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Semaphore
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pamiq_lightning.exchange.board import Board
    from pamiq_lightning.trainer.job import TrainerJob

LOOK_S = 0.5
"""Longest wait without a look at whether the other process still lives."""
STOP_TIMEOUT_S = 20.0
"""How long a trainer may take to finish and save before it is ended."""
FIRST_DELAY_S, LONGEST_DELAY_S, HEALTHY_LIFE_S = 1.0, 60.0, 60.0
START_LIMIT_S = 300.0
"""How long it may take to import, build and warm up."""
LOG_FILE = "trainer.log"


class TrainerProcess:
    """The agent's handle on the trainer, which imports at once and begins when it has its job.

    Attributes:
        restarts: how often a dead or hanging trainer was replaced.
    """

    def __init__(self) -> None:
        # Spawn: a fork after torch has used its threads hangs in the child.
        self._context = mp.get_context("spawn")
        self._filled = self._context.Semaphore(0)
        self._trained = self._context.Semaphore(0)
        self._job: TrainerJob | None = None
        self._stopping = False
        self._delay = FIRST_DELAY_S
        self._start_at: float | None = None
        self.restarts = 0
        self._start()

    def _start(self) -> None:
        here, there = self._context.Pipe()
        self._job_pipe = here
        self._process = self._context.Process(
            target=_child, args=(there, self._filled, self._trained), name="trainer"
        )
        self._process.start()
        self._started = time.monotonic()
        there.close()

    def begin(self, job: TrainerJob) -> None:
        """Give it its job."""
        self._job = job
        # If it has died meanwhile, whoever watches it will see.
        with suppress(BrokenPipeError):
            self._job_pipe.send(job)

    def watch(self, board: Board, now: float) -> str | None:
        """Replace a trainer that died or hangs; call it a few times a second.

        It waits twice as long before each further try, and begins anew with short waits once a
        trainer has lived for a while.

        Returns:
            What happened, in one line, or None.
        """
        if self._job is None or self._stopping:
            return None
        if self._start_at is not None:
            if now >= self._start_at:
                self._start_again(board, now)
            return None
        patience = self._job.trainer.hang_s if board.ready else START_LIMIT_S
        if self.alive and now - max(board.sign_of_life, self._started) > patience:
            self.kill()
            return self._plan_restart(now, f"hangs ({patience:.0f} s without a sign of life)")
        if not self.alive:
            return self._plan_restart(now, f"ended (exit code {self._process.exitcode})")
        return None

    def _plan_restart(self, now: float, what: str) -> str:
        if now - self._started > HEALTHY_LIFE_S:
            self._delay = FIRST_DELAY_S
        self._start_at = now + self._delay
        told = f"the trainer {what}; a new one starts in {self._delay:.0f} s; see {self._log_file}"
        self._delay = min(2 * self._delay, LONGEST_DELAY_S)
        return told

    def _start_again(self, board: Board, now: float) -> None:
        assert self._job is not None
        self._start_at = None
        self.restarts += 1
        board.set_ready(False)
        board.give_sign_of_life(now)
        self._start()
        self.begin(replace(self._job, resume=True))

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process.is_alive()

    @property
    def _log_file(self) -> Path | None:
        return self._job.run_folder / LOG_FILE if self._job else None

    def describe_end(self) -> str:
        """Say in one line how it ended and where to read why."""
        return f"the trainer ended (exit code {self._process.exitcode}); see {self._log_file}"

    def wake(self) -> None:
        """Tell it that a window is full; never waits."""
        self._filled.release()

    def wait_for_round(self) -> None:
        """Lockstep: return when a round has ended, or after a while."""
        self._trained.acquire(timeout=LOOK_S)

    def join(self) -> bool:
        """Wait for its end, and end it if it takes too long; return whether it ended well."""
        self._stopping = True
        self._job_pipe.close()
        self._process.join(STOP_TIMEOUT_S)
        self.kill()
        return self._process.exitcode == 0

    def kill(self) -> None:
        """End it at once, if it still runs."""
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


def _child(job_pipe: Connection, filled: Semaphore, trained: Semaphore) -> None:
    """Be the trainer."""
    ignore_stop_signals()
    from pamiq_lightning.trainer.main import train

    try:
        job: TrainerJob = job_pipe.recv()
    except EOFError:
        # The agent found something wrong before it had a job for us, and has said so.
        return
    _redirect_output(job.run_folder / LOG_FILE)
    if hasattr(os, "nice"):
        os.nice(job.trainer.nice)
    try:
        train(job, wait=lambda: _wait(filled), on_round=trained.release)
    except Exception:
        # The agent tells it in one line and names the log, which has the whole story.
        traceback.print_exc()
        sys.exit(1)


def ignore_stop_signals() -> None:
    """Leave it to the agent: Ctrl-C and a closed terminal reach the whole group of processes."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)


def _redirect_output(path: Path) -> None:
    """Send all that libraries print into a file: the terminal belongs to the agent's status."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)


def _wait(filled: Semaphore) -> bool:
    """Sleep until the agent says that a window is full; return whether the agent still lives."""
    filled.acquire(timeout=LOOK_S)
    parent = mp.parent_process()
    if parent is not None and not parent.is_alive():
        print("the agent is gone: saving and ending", flush=True)
        return False
    return True
