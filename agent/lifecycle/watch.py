"""Watches the run's other processes while the loop runs, and reports failures."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from agent.lifecycle.recorder import Recorder
from agent.ui.commands import Commands
from pamiq_lightning.exchange.status_board import StatusBoard
from pamiq_lightning.trainer.process import TrainerProcess
from pamiq_lightning.utils.outage import REPEAT_EVERY_S

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
        self.pass_messages()
        self._report_rewards(now)
        if not self.lockstep and (message := self.trainer.watch(self.board, now)):
            self.commands.notify(message)

    def pass_messages(self) -> None:
        """Pass the trainer's messages on; its other output goes to its log alone."""
        for text in self.board.new_messages():
            self.commands.notify(text)

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
