"""A fake run, without loop, trainer or world, for the tests of its commands."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from agent.lifecycle.signals import StopRequest
from agent.metrics import LoopMetrics
from agent.pause import Pauses
from agent.ui.commands import Commands
from agent.ui.terminal import StatusSource
from pamiq_lightning.exchange.status_board import StatusBoard, StatusBoardSpec
from tests.conftest import VirtualClock

ROLES = ("encoder", "decoder")
STEP_S = 0.5
"""Duration of a wait on the virtual clock."""


class FakeTrainer:
    """Answers the requests on the board, as its flags say, at every wait."""

    def __init__(self, board: StatusBoard) -> None:
        self.board, self.restarts, self.woken = board, 2, 0
        self.saves: bool | None = True
        self.pauses = True

    def wake(self) -> None:
        self.woken += 1

    def answer_requests(self) -> None:
        number = self.board.save_requested
        if self.saves is not None and self.board.saved(number) is None:
            if self.saves:
                self.board.save_done = number
            else:
                self.board.save_failed = number
        if self.pauses:
            self.board.paused = self.board.pause


class FakeRun:
    """The commands of a run whose loop and trainer advance at every wait.

    Attributes:
        loop_pauses: whether the loop answers requests to pause.
        on_wait: called at every wait, after loop and trainer.
    """

    def __init__(self, folder: Path, clock: VirtualClock, pause_trainer: bool = False) -> None:
        board = StatusBoard(StatusBoardSpec(folder / "board", ROLES), create=True)
        board.ready = True
        self.clock, self.board, self.trainer = clock, board, FakeTrainer(board)
        self.loop_pauses, self.on_wait = True, list[Callable[[], None]]()
        self.stop, self.pauses = StopRequest(), Pauses()
        self.commands = Commands(
            folder,
            self.stop,
            self.pauses,
            board,
            self.trainer,
            pause_trainer,
            now=clock.now,
            sleep=self.wait,
        )

    def begin(self) -> None:
        """Start to tick."""
        self.commands.source = StatusSource(
            LoopMetrics(0.1), self.board, ROLES, lambda: {}, lambda: 0, self.pauses, lambda: {}
        )

    def wait(self, seconds: float) -> None:
        self.clock.advance(STEP_S)
        if self.loop_pauses:
            self.pauses.confirm(self.pauses.requested)
        self.trainer.answer_requests()
        for callback in self.on_wait:
            callback()
