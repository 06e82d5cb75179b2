"""The trainer as a process of its own, as the agent sees it: start, wake, wait, join.

Nothing heavy is imported here, so that the child loads torch while its parent still reads settings.
"""

from __future__ import annotations

import os
import sys
import time
import traceback
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Semaphore
from pathlib import Path
from typing import TYPE_CHECKING

from pamiq_lightning.run_files import TRAINER_LOG
from pamiq_lightning.utils.processes import (
    Backoff,
    Starting,
    context,
    ignore_stop_signals,
    parent_lives,
)
from pamiq_lightning.utils.safe_print import safe_print

if TYPE_CHECKING:
    from pamiq_lightning.exchange.status_board import StatusBoard
    from pamiq_lightning.trainer.config import TrainerConfig

LOOK_S = 0.5
"""Longest wait without a look at whether the other process still lives."""
STOP_TIMEOUT_S = 20.0
"""How long a trainer may take to finish and save before it is ended."""
START_LIMIT_S = 300.0
"""How long it may take to import, build and warm up."""


class TrainerProcess:
    """The agent's handle on the trainer, which imports at once and begins when it has its job.

    Attributes:
        restarts: how often a dead or hanging trainer was replaced.
    """

    def __init__(self) -> None:
        self._context = context()
        self._filled = self._context.Semaphore(0)
        self._trained = self._context.Semaphore(0)
        self._job: TrainerConfig | None = None
        self._stopping = False
        self._backoff = Backoff()
        self._start_at: float | None = None
        self._rounds_at_start = 0
        self.restarts = 0
        self._start()

    def _start(self) -> None:
        # Kept open here until the next start: the process may not have been begun yet.
        self._job_pipe, self._child_pipe = self._context.Pipe()
        self._process = self._context.Process(
            target=_child, args=(self._child_pipe, self._filled, self._trained), name="trainer"
        )
        self._starting = Starting(self._process)
        self._started = time.monotonic()

    @property
    def pid(self) -> int | None:
        """Number of the process; None before it is started."""
        return self._process.pid

    def begin(self, job: TrainerConfig) -> None:
        """Give it its job."""
        self._job = job
        self._starting.wait()
        self._child_pipe.close()
        # If it has died meanwhile, whoever watches it will see.
        with suppress(BrokenPipeError):
            self._job_pipe.send(job)

    def watch(self, board: StatusBoard, now: float) -> str | None:
        """Replace a trainer that died or hangs; call it a few times a second.

        It waits twice as long before each further try, and begins anew with short waits once a
        trainer has trained on a window.

        Returns:
            What happened, in one line, or None.
        """
        if self._job is None or self._stopping:
            return None
        if self._start_at is not None:
            if now < self._start_at:
                return None
            try:
                self._start_again(board, now)
            except OSError as error:
                return self._plan_restart(board, now, f"could not be started ({error.strerror})")
            return None
        patience = self._job.trainer.heartbeat_timeout_s if board.ready else START_LIMIT_S
        if self.alive and now - max(board.heartbeat, self._started) > patience:
            self.kill()
            why = f"hangs ({patience:.0f} s without a sign of life)"
            return self._plan_restart(board, now, why)
        if not self.alive:
            return self._plan_restart(board, now, f"ended (exit code {self._process.exitcode})")
        return None

    def _plan_restart(self, board: StatusBoard, now: float, what: str) -> str:
        if board.rounds > self._rounds_at_start:
            self._backoff.reset()
        self._rounds_at_start = board.rounds
        delay = self._backoff.next()
        self._start_at = now + delay
        return f"the trainer {what}; a new one starts in {delay:.3g} s; see {self._log_file}"

    def _start_again(self, board: StatusBoard, now: float) -> None:
        assert self._job is not None
        self._start_at = None
        self.restarts += 1
        board.set_ready(False)
        board.set_paused(False)
        board.beat(now)
        self._start()
        self.begin(replace(self._job, resume=True))

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process.is_alive()

    @property
    def _log_file(self) -> Path | None:
        return self._job.run_folder / TRAINER_LOG if self._job else None

    def describe_end(self) -> str:
        """Say in one line how it ended and where to read why."""
        return f"the trainer ended (exit code {self._process.exitcode}); see {self._log_file}"

    def wake(self) -> None:
        """Tell it that a window is full, or that the board asks for something; never waits."""
        self._filled.release()

    def wait_for_round(self) -> None:
        """Lockstep: return when a round has ended, or after a while."""
        self._trained.acquire(timeout=LOOK_S)

    def join(self) -> bool:
        """Wait for its end, and end it if it takes too long; return whether it ended well."""
        self._stopping = True
        self._starting.settle()
        self._job_pipe.close()
        if self.alive:
            self._process.join(STOP_TIMEOUT_S)
        self.kill()
        return self._process.exitcode == 0

    def kill(self) -> None:
        """End it at once, if it still runs."""
        self._starting.settle()
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


def _child(job_pipe: Connection, filled: Semaphore, trained: Semaphore) -> None:
    """Be the trainer."""
    ignore_stop_signals()
    from pamiq_lightning.trainer.main import train

    try:
        job: TrainerConfig = job_pipe.recv()
    except EOFError:
        # The agent found something wrong before it had a job for us, and has said so.
        return
    _redirect_output(job.run_folder / TRAINER_LOG)
    if hasattr(os, "nice"):
        os.nice(job.trainer.nice)
    try:
        train(job, wait=lambda block: _wait(filled, block), on_round=trained.release)
    except Exception:
        # The agent tells it in one line and names the log, which has the whole story.
        traceback.print_exc()
        sys.exit(1)


def _redirect_output(path: Path) -> None:
    """Send all that libraries print into a file: the terminal belongs to the agent's status."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)


def _wait(filled: Semaphore, block: bool) -> bool:
    """Sleep until the agent says that something is to do; return whether the agent still lives.

    Without `block`, only look.
    """
    filled.acquire(block, LOOK_S if block else None)
    if parent_lives():
        return True
    safe_print("the agent is gone: saving and ending")
    return False
