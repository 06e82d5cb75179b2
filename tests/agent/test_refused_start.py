from __future__ import annotations

import errno
from pathlib import Path

import pytest

from agent import run
from agent.lifecycle.runner import Runner
from pamiq_lightning.trainer.process import REFUSED
from tests.agent.lifecycle.run_fixture import FakeRun
from tests.conftest import VirtualClock

FULL = OSError(errno.ENOSPC, "No space left on device")


class NoProcess:
    """The handle of a trainer that never runs, or that has ended."""

    alive, exitcode = False, REFUSED

    @property
    def process(self) -> NoProcess:
        return self

    def kill(self) -> None:
        pass


def start(runs: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """Start a run that is refused; return the one line that says why."""
    assert run.main(["conf=debug", "world=embedded", "record=false", f"runs={runs}"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: the run cannot start: ") and "No space left on device" in line
    return line


def test_start_without_room_for_semaphores_is_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse() -> None:
        raise FULL

    monkeypatch.setattr("agent.lifecycle.start.TrainerProcess", refuse)
    assert "/dev/shm" in start(tmp_path, capsys)


def test_start_names_the_runs_folder_where_the_system_names_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(runner: Runner, end: object) -> None:
        raise FULL

    monkeypatch.setattr("agent.lifecycle.start.TrainerProcess", NoProcess)
    monkeypatch.setattr(Runner, "build", refuse)
    assert str(tmp_path) in start(tmp_path, capsys)


def test_reason_of_a_trainer_that_was_refused_is_given_and_no_folder_left(
    tmp_path: Path,
    clock: VirtualClock,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    exchange = FakeRun(tmp_path, clock)
    exchange.board.ready = False
    exchange.board.post(f"the trainer ended: {FULL}")

    def build(runner: Runner, end: object) -> None:
        runner._open_folder(end)  # type: ignore[arg-type]
        runner.exchange = exchange  # type: ignore[assignment]
        runner._wait_for_trainer()

    monkeypatch.setattr("agent.lifecycle.start.TrainerProcess", NoProcess)
    monkeypatch.setattr(Runner, "build", build)
    start(tmp_path / "runs", capsys)
    assert not [*(tmp_path / "runs").glob("*/*")]
