"""Watches the run's other processes while the loop runs, and reports failures."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass

from agent.lifecycle.recorder import Recorder
from agent.ui.commands import Commands
from pamiq_lightning.exchange.status_board import StatusBoard
from pamiq_lightning.trainer.process import TrainerProcess

REPEAT_EVERY_S = 60.0
FOLDER_GONE = "the run's folder was removed or renamed"


@dataclass
class ProcessWatch:
    """Replaces a trainer or a recorder that died; called about once a second.

    A run whose folder is gone is stopped: nothing of it could be saved any more.
    Under lockstep the trainer is not replaced: its end is the run's.

    Args:
        trainer: the trainer's process.
        recorder: the recorder's, where the run is recorded.
        board: where both report.
        commands: takes the messages.
        lockstep: whether the clock is lockstep.
        in_place: returns whether the run's folder is where it was.
    """

    trainer: TrainerProcess
    recorder: Recorder | None
    board: StatusBoard
    commands: Commands
    lockstep: bool
    in_place: Callable[[], bool] = lambda: True
    _save_error_at: float = -math.inf
    _reward_at: float = -math.inf
    _rewards_reported: int = 0

    def __call__(self) -> None:
        """Look at the folder and at both processes once."""
        if not self.in_place():
            # A new trainer or recorder would begin a second folder.
            if self.commands.state != "stopping":
                self.commands.stop(FOLDER_GONE)
            return
        self.commands.trainer_alive = self.trainer.alive
        now = time.monotonic()
        if self.recorder and (message := self.recorder.watch(self.board, now)):
            self.commands.notify(message)
        self._report_save_errors(now)
        self._report_rewards(now)
        if not self.lockstep and (message := self.trainer.watch(self.board, now)):
            self.commands.notify(message)

    def _report_rewards(self, now: float) -> None:
        """Report once a minute that rewards are not finite."""
        source = self.commands.source
        count = source.metrics.reward.not_finite if source else 0
        if count > self._rewards_reported and now - self._reward_at >= REPEAT_EVERY_S:
            self._reward_at, self._rewards_reported = now, count
            self.commands.notify(
                f"rewards that are not finite so far: {count}; the steps they belong to are not "
                "trained on and count in no mean: check the class that `curiosity` names"
            )

    def _report_save_errors(self, now: float) -> None:
        """Report once a minute that checkpoints cannot be written, and once that they can again."""
        number = self.board.save_error
        if number and now - self._save_error_at >= REPEAT_EVERY_S:
            self._save_error_at = now
            self.commands.notify(
                f"no checkpoint can be saved ({os.strerror(number)}): agent and trainer continue, "
                "and every rollout saving is tried again"
            )
        elif not number and self._save_error_at > -math.inf:
            self._save_error_at = -math.inf
            self.commands.notify("checkpoints are saved again")
