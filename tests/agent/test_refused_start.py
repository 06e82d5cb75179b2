from __future__ import annotations

import errno
import sys
from pathlib import Path

import pytest

from agent import run
from agent.errors import UsageError
from agent.lifecycle.build import build_curiosity
from agent.lifecycle.runner import Runner
from agent.lifecycle.signals import StopRequest
from agent.settings.compose import compose, read_command_line
from agent.settings.schema import parse
from pamiq_lightning.curiosity.base import Curiosity, RewardInputs
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


class Exits(Curiosity):
    """Its first reward ends Python."""

    def reward(self, inputs: RewardInputs) -> float:
        sys.exit(0)


def test_a_reward_that_ends_python_before_the_first_tick_is_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    settings = parse(compose(read_command_line(["conf=debug"]), lambda: "debug"))
    settings.curiosity = {"class_path": f"{__name__}.Exits", "init_args": {}}
    runner = Runner(settings, "e", NoProcess(), StopRequest(), None)  # type: ignore[arg-type]

    class Failing:
        def warm_up(self, frame: object) -> None:
            build_curiosity(settings).reward(None)  # type: ignore[arg-type]

    with pytest.raises(UsageError, match=r"first step failed: it calls sys.exit\(0\) \(.*\.py:"):
        runner._warm_up(Failing(), 8)  # type: ignore[arg-type]


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
