"""The trainer as a process of its own, seen from the agent: start, notify, wait, restart, join.

Nothing heavy is imported here, so the child imports torch while its parent still reads settings.
"""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Semaphore
from pathlib import Path
from typing import TYPE_CHECKING

from pamiq_lightning.run_files import TRAINER_LOG
from pamiq_lightning.utils.console import open_missing_streams, print_error, safe_print
from pamiq_lightning.utils.processes import POLL_S, context, ignore_stop_signals, parent_alive
from pamiq_lightning.utils.supervisor import SupervisedProcess

if TYPE_CHECKING:
    from pamiq_lightning.exchange.status_board import StatusBoard
    from pamiq_lightning.trainer.config import TrainerConfig

START_LIMIT_S = 300.0
"""How long the trainer may take to import, build and warm up."""
REFUSED = 3
"""Exit code of a trainer that the system refused something, such as room on the disk."""


class TrainerProcess(SupervisedProcess):
    """The agent's handle on the trainer, which imports at once and trains when it has its config.

    Args:
        clock: returns monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__("trainer", clock)
        self._context = context()
        self._requests = self._context.Semaphore(0)
        self._rounds = self._context.Semaphore(0)
        self._config: TrainerConfig | None = None
        self._start()

    def _start(self) -> None:
        # The child's end stays open until `begin`, when the process surely has started.
        self._config_pipe, self._child_pipe = self._context.Pipe()
        arguments = (self._child_pipe, self._requests, self._rounds)
        self.start(self._context.Process(target=_run, args=arguments, name="trainer"))

    def begin(self, config: TrainerConfig) -> None:
        """Send the config; the trainer begins.

        Raises:
            OSError: the system could not start it.
        """
        self._config = config
        self.wait_started()
        self._child_pipe.close()
        # If it has died meanwhile, `watch` notices.
        with suppress(BrokenPipeError):
            self._config_pipe.send(config)

    def watch(self, board: StatusBoard, now: float) -> str | None:
        """Replace a trainer that died or hangs; call it a few times a second.

        Returns:
            What happened, in one line, or None.
        """
        if self._config is None:
            return None
        heartbeat_timeout_s = self._config.trainer.heartbeat_timeout_s
        event = self.supervise(
            now,
            lambda: self._restart(board, now),
            board.rounds,
            board.heartbeat,
            heartbeat_timeout_s if board.ready else START_LIMIT_S,
        )
        return f"{event}; see {self._log_file}" if event else None

    def _restart(self, board: StatusBoard, now: float) -> None:
        assert self._config is not None
        board.ready, board.paused, board.heartbeat = False, False, now
        self._start()
        self.begin(replace(self._config, resume=True))

    @property
    def _log_file(self) -> Path | None:
        return self._config.run_folder / TRAINER_LOG if self._config else None

    def describe_end(self) -> str:
        """Return in one line how it ended and where to read why."""
        return f"the trainer ended (exit code {self.process.exitcode}); see {self._log_file}"

    def wake(self) -> None:
        """Notify it that a rollout is full or the board has a request; never waits."""
        self._requests.release()

    def wait_for_round(self) -> None:
        """Lockstep: return when a round has ended, or after a while."""
        self._rounds.acquire(timeout=POLL_S)

    def join(self) -> bool:
        """Wait for its end, kill it if it takes too long; return whether it ended well."""
        self._config_pipe.close()
        return super().join()


def _run(config_pipe: Connection, requests: Semaphore, rounds: Semaphore) -> None:
    """Run the trainer; the main function of its process."""
    open_missing_streams()
    ignore_stop_signals()
    from pamiq_lightning.exchange.status_board import StatusBoard
    from pamiq_lightning.trainer.main import train

    try:
        config: TrainerConfig = config_pipe.recv()
    except EOFError:
        # The agent ended before it had a config, and has printed why.
        return
    # All that libraries print goes into a file: the terminal belongs to the agent's status.
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        log = os.open(config.run_folder / TRAINER_LOG, flags, 0o644)
    except OSError as error:
        print_error(f"the trainer has no log: {error}")
        sys.exit(1)
    os.dup2(log, 1)
    os.dup2(log, 2)
    if hasattr(os, "nice"):
        os.nice(config.trainer.nice)
    try:
        train(config, wait=lambda block: _wait(requests, block), notify_agent=rounds.release)
    except OSError as error:
        # A disk that is full may have no room for the log either.
        StatusBoard(config.board).post(f"the trainer ended: {error}")
        print_error(traceback.format_exc())
        sys.exit(REFUSED)
    except Exception:
        # The agent prints one line that names this log.
        print_error(traceback.format_exc())
        sys.exit(1)


def _wait(requests: Semaphore, block: bool) -> bool:
    """If `block`, wait until the agent notifies the trainer; return whether the agent is alive."""
    requests.acquire(block, POLL_S if block else None)
    if parent_alive():
        return True
    safe_print("the agent is gone: saving and ending")
    return False
