"""Restarts of the trainer, on a virtual clock and with a fake process."""

from __future__ import annotations

import dataclasses
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pamiq_lightning.exchange.status_board import StatusBoard, StatusBoardSpec
from pamiq_lightning.trainer import process
from pamiq_lightning.trainer.process import START_LIMIT_S, TrainerProcess
from pamiq_lightning.trainer.settings import TrainerSettings
from tests.pamiq_lightning.utils.test_supervisor import FakeProcess


class FakePipe:
    """Keeps what is sent."""

    def __init__(self, sent: list[Any]) -> None:
        self._sent = sent

    def send(self, content: object) -> None:
        self._sent.append(content)

    def close(self) -> None: ...


class FakeContext:
    """Makes fake processes."""

    Semaphore = threading.Semaphore

    def __init__(self) -> None:
        self.sent: list[Any] = []

    def Pipe(self) -> tuple[FakePipe, FakePipe]:  # noqa: N802
        return FakePipe(self.sent), FakePipe(self.sent)

    def Process(self, **_: object) -> FakeProcess:  # noqa: N802
        return FakeProcess()


@dataclass(frozen=True)
class FakeConfig:
    """The part of a config that the handle reads."""

    run_folder: Path = Path("run")
    trainer: TrainerSettings = field(
        default_factory=lambda: TrainerSettings(heartbeat_timeout_s=100.0)
    )
    resume: bool = False


@pytest.fixture
def context(monkeypatch: pytest.MonkeyPatch) -> FakeContext:
    made = FakeContext()
    monkeypatch.setattr(process, "context", lambda: made)
    return made


@pytest.fixture
def board(tmp_path: Path) -> StatusBoard:
    board = StatusBoard(StatusBoardSpec(tmp_path / "board", ()), create=True)
    board.ready = True
    return board


@pytest.fixture
def trainer(context: FakeContext) -> TrainerProcess:
    trainer = TrainerProcess(clock=lambda: 0.0)
    trainer.begin(FakeConfig())  # type: ignore[arg-type]
    return trainer


def test_a_dead_trainer_is_replaced_by_one_that_resumes(
    trainer: TrainerProcess, board: StatusBoard, context: FakeContext
) -> None:
    board.paused = True
    trainer.kill()
    event = trainer.watch(board, 10.0)
    assert event is not None
    assert event.startswith("the trainer ended (exit code -9); a new one starts in 0.25 s; see run")
    assert trainer.watch(board, 10.3) is None
    assert trainer.alive and trainer.restarts == 1
    assert context.sent == [FakeConfig(), dataclasses.replace(FakeConfig(), resume=True)]
    assert not board.ready and not board.paused and board.heartbeat == 10.3


def test_the_delay_is_short_again_after_a_round(
    trainer: TrainerProcess, board: StatusBoard
) -> None:
    for now in (0.0, 100.0, 200.0):
        trainer.kill()
        trainer.watch(board, now)
        trainer.watch(board, now + 60)
    board.rounds = 1
    trainer.kill()
    assert "starts in 0.25 s" in (trainer.watch(board, 300.0) or "")


def test_a_trainer_without_heartbeat_is_killed(trainer: TrainerProcess, board: StatusBoard) -> None:
    board.heartbeat = 50.0
    assert trainer.watch(board, 149.0) is None
    assert trainer.alive
    assert "hangs" in (trainer.watch(board, 151.0) or "")
    assert not trainer.alive


def test_a_starting_trainer_gets_more_time(trainer: TrainerProcess, board: StatusBoard) -> None:
    board.ready = False
    assert trainer.watch(board, START_LIMIT_S - 1) is None
    assert "hangs" in (trainer.watch(board, START_LIMIT_S + 1) or "")


def test_a_trainer_without_config_is_not_replaced(context: FakeContext, board: StatusBoard) -> None:
    trainer = TrainerProcess(clock=lambda: 0.0)
    trainer.kill()
    assert trainer.watch(board, 1000.0) is None


def test_no_trainer_is_replaced_after_join(trainer: TrainerProcess, board: StatusBoard) -> None:
    trainer.join()
    trainer.kill()
    assert trainer.watch(board, 1000.0) is None
