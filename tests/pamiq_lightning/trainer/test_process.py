"""When a trainer is replaced, on a clock of the test's own and with a process that is made up."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from pamiq_lightning.exchange.status_board import StatusBoard, StatusBoardSpec
from pamiq_lightning.trainer import process
from pamiq_lightning.trainer.process import TrainerProcess
from pamiq_lightning.trainer.settings import TrainerSettings


class FakeProcess:
    """Lives until it is killed."""

    exitcode = -9

    def __init__(self) -> None:
        self.running = True

    def is_alive(self) -> bool:
        return self.running

    def kill(self) -> None:
        self.running = False

    def join(self, timeout: float | None = None) -> None: ...


class Started:
    """A start that is over."""

    def wait(self) -> None: ...

    def settle(self) -> None: ...


class FakeTrainer(TrainerProcess):
    """Starts nothing."""

    def __init__(self, now: float) -> None:
        self.now, self.resumed = now, []  # type: ignore[var-annotated]
        super().__init__()

    def _start(self) -> None:
        self._process = FakeProcess()  # type: ignore[assignment]
        self._starting = Started()  # type: ignore[assignment]
        self._started = self.now

    def begin(self, job: object) -> None:
        self._job = job  # type: ignore[assignment]
        self.resumed.append(getattr(job, "resume", None))


class Job:
    """As much of a job as is looked at."""

    run_folder, trainer, resume = Path("run"), TrainerSettings(heartbeat_timeout_s=100.0), False


@pytest.fixture
def board(tmp_path: Path) -> StatusBoard:
    return StatusBoard(StatusBoardSpec(tmp_path / "board", ()), create=True)


@pytest.fixture
def trainer(monkeypatch: pytest.MonkeyPatch, board: StatusBoard) -> FakeTrainer:
    monkeypatch.setattr(
        process, "replace", lambda job, resume: type("Job", (Job,), {"resume": resume})
    )
    made = FakeTrainer(now=0.0)
    made.begin(Job)
    board.set_ready()
    board.beat(0.0)
    return made


def test_a_dead_one_is_replaced_after_waits_that_double(
    trainer: FakeTrainer, board: StatusBoard
) -> None:
    waits = []
    for _ in range(10):
        trainer.kill()
        told = trainer.watch(board, trainer.now)
        assert told is not None and "exit code -9" in told
        begun = trainer.now
        while not trainer.alive:
            trainer.now += 0.25
            trainer.watch(board, trainer.now)
        waits.append(trainer.now - begun)
    assert waits == [0.25, 0.5, 1, 2, 4, 8, 16, 32, 60, 60]
    assert trainer.restarts == 10
    assert trainer.resumed == [False] + 10 * [True]
    assert not board.ready


def test_one_that_cannot_be_started_is_tried_again(
    trainer: FakeTrainer, board: StatusBoard, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer.kill()
    assert trainer.watch(board, 10.0)

    def fail() -> None:
        raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

    with monkeypatch.context() as patch:
        patch.setattr(trainer, "_start", fail)
        told = trainer.watch(board, 11.0)
    assert told is not None and "could not be started (Resource temporarily" in told
    assert trainer.watch(board, 11.1) is None and not trainer.alive
    assert trainer.watch(board, 11.6) is None and trainer.alive


def test_after_a_rollout_was_trained_on_the_wait_is_short_again(
    trainer: FakeTrainer, board: StatusBoard
) -> None:
    for _ in range(4):
        trainer.kill()
        trainer.watch(board, trainer.now)
        trainer.now += 60
        trainer.watch(board, trainer.now)
    board.set_progress(rounds=1, rollouts_dropped=0)
    trainer.kill()
    assert "starts in 0.25 s" in (trainer.watch(board, trainer.now) or "")


def test_a_hanging_one_is_ended(trainer: FakeTrainer, board: StatusBoard) -> None:
    board.beat(50.0)
    assert trainer.watch(board, 149.0) is None
    assert trainer.alive
    told = trainer.watch(board, 151.0)
    assert told is not None and "hangs" in told
    assert not trainer.alive


def test_one_that_is_still_starting_is_given_time(trainer: FakeTrainer, board: StatusBoard) -> None:
    board.set_ready(False)
    assert trainer.watch(board, 299.0) is None
    assert "hangs" in (trainer.watch(board, 301.0) or "")


def test_none_is_replaced_while_the_run_ends(trainer: FakeTrainer, board: StatusBoard) -> None:
    trainer._job_pipe = type("Pipe", (), {"close": lambda self: None})()
    trainer.join()
    trainer.kill()
    assert trainer.watch(board, 1000.0) is None
