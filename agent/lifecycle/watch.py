"""Watches the run's other processes while the loop runs, and reports failures."""

from __future__ import annotations

import math
import os
import time

from agent.lifecycle.recorder import Recorder
from agent.ui.commands import Commands
from pamiq_lightning.exchange.status_board import StatusBoard
from pamiq_lightning.trainer.process import TrainerProcess

REPEAT_EVERY_S = 60.0


class ProcessWatch:
    """Replaces a trainer or a recorder that died; called about once a second.

    Under lockstep the trainer is not replaced: its end is the run's.

    Args:
        trainer: the trainer's process.
        recorder: the recorder's, where the run is recorded.
        board: where both report.
        commands: takes the messages.
        lockstep: whether the clock is lockstep.
    """

    def __init__(
        self,
        trainer: TrainerProcess,
        recorder: Recorder | None,
        board: StatusBoard,
        commands: Commands,
        lockstep: bool,
    ) -> None:
        self._trainer, self._recorder, self._board = trainer, recorder, board
        self._commands, self._lockstep = commands, lockstep
        self._save_error_at = -math.inf

    def __call__(self) -> None:
        """Look at both processes once."""
        self._commands.trainer_alive = self._trainer.alive
        now = time.monotonic()
        if self._recorder and (message := self._recorder.watch(self._board, now)):
            self._commands.notify(message)
        self._report_save_errors(now)
        if not self._lockstep and (message := self._trainer.watch(self._board, now)):
            self._commands.notify(message)

    def _report_save_errors(self, now: float) -> None:
        """Report once a minute that checkpoints cannot be written, and once that they can again."""
        number = self._board.save_error
        if number and now - self._save_error_at >= REPEAT_EVERY_S:
            self._save_error_at = now
            self._commands.notify(
                f"no checkpoint can be saved ({os.strerror(number)}): agent and trainer continue, "
                "and every rollout saving is tried again"
            )
        elif not number and self._save_error_at > -math.inf:
            self._save_error_at = -math.inf
            self._commands.notify("checkpoints are saved again")
