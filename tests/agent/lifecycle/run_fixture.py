"""A run as its watchers see it, without loop, trainer or world, for the tests of the controls."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from agent.lifecycle.signals import StopRequest
from agent.metrics import LoopMetrics
from agent.pause import Pauses
from agent.ui.commands import Controls
from agent.ui.terminal import StatusSource
from pamiq_lightning.exchange.status_board import StatusBoard, StatusBoardSpec
from tests.conftest import VirtualClock

ROLES = ("encoder", "decoder")
STEP_S = 0.5
"""What a wait takes on the virtual clock."""


class FakeTrainer:
    """Does, whenever somebody waits, what the board asks for: as its flags say."""

    def __init__(self, board: StatusBoard) -> None:
        self.board, self.restarts, self.woken = board, 2, 0
        self.saves: bool | None = True
        self.obeys = True

    def wake(self) -> None:
        self.woken += 1

    def attend(self) -> None:
        asked = self.board.save_requested
        if self.saves is not None and self.board.saved(asked) is None:
            self.board.set_saved(asked, self.saves)
        if self.obeys:
            self.board.set_paused(self.board.pause)


class FakeRun:
    """Controls of a run whose loop and trainer move on when somebody waits.

    Attributes:
        loops: whether the loop takes notice of pauses.
        waits: called at every wait, after loop and trainer.
    """

    def __init__(self, folder: Path, clock: VirtualClock, pause_trainer: bool = False) -> None:
        board = StatusBoard(StatusBoardSpec(folder / "board", ROLES), create=True)
        board.set_ready()
        self.clock, self.board, self.trainer = clock, board, FakeTrainer(board)
        self.loops, self.waits = True, list[Callable[[], None]]()
        self.stop, self.pauses = StopRequest(), Pauses()
        self.controls = Controls(
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
        """Begin to tick."""
        self.controls.source = StatusSource(
            LoopMetrics(0.1), self.board, ROLES, lambda: {}, lambda: 0, self.pauses, lambda: {}
        )

    def wait(self, seconds: float) -> None:
        self.clock.advance(STEP_S)
        if self.loops:
            self.pauses.confirm(self.pauses.requested)
        self.trainer.attend()
        for happening in self.waits:
            happening()
