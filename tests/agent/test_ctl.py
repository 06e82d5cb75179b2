from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent import ctl
from agent.osc.ports import bind_tcp
from agent.run_dir import PID_FILE, write_address
from agent.ui.server import HOST, Api
from agent.ui.views import Views
from pamiq_lightning.exchange.rollouts import RolloutWriter
from tests.agent.lifecycle.run_fixture import FakeRun
from tests.conftest import VirtualClock
from tests.pamiq_lightning.exchange.test_rollouts import ring


@pytest.fixture
def run(tmp_path: Path, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeRun]:
    folder = tmp_path / "street" / "today"
    folder.mkdir(parents=True)
    (folder / PID_FILE).write_text(str(os.getpid()))
    monkeypatch.setattr(ctl, "is_agent", lambda pid: pid == os.getpid())
    run = FakeRun(folder, clock)
    run.begin()
    views = Views(folder, RolloutWriter(ring(tmp_path, rows=4, slots=4)), ("x",))
    api = Api(bind_tcp(HOST, 0), run.commands, views)
    write_address(folder, api.address)
    yield run
    api.close()


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["ctl", *arguments])
    return ctl.main()


def test_command_prints_its_result(
    run: FakeRun,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for command, words in (("pause", "Paused"), ("resume", "Resumed"), ("save", "Saved")):
        assert call(monkeypatch, command, "--run", str(tmp_path)) == 0
        assert words in capsys.readouterr().out
    assert call(monkeypatch, "status", "--run", str(tmp_path)) == 0
    assert json.loads(capsys.readouterr().out)["state"] == "running"


def test_refused_command_prints_one_line(
    run: FakeRun,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run.trainer.saves = False
    assert call(monkeypatch, "save", "--run", str(tmp_path)) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: nothing was saved")


def test_missing_agent_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "pause", "--run", str(tmp_path)) == 1
    assert "no agent runs in" in capsys.readouterr().err


def test_agent_that_does_not_answer_is_reported_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / PID_FILE).write_text(str(os.getpid()))
    monkeypatch.setattr(ctl, "is_agent", lambda pid: True)
    assert call(monkeypatch, "pause", "--run", str(tmp_path)) == 1
    assert "does not answer" in capsys.readouterr().err


def test_stop_falls_back_on_a_signal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pid_file = tmp_path / PID_FILE
    pid_file.write_text("4242")
    killed: list[int] = []

    def kill(pid: int, number: int) -> None:
        killed.append(pid)
        pid_file.unlink()

    monkeypatch.setattr(ctl.os, "kill", kill)
    assert ctl.stop(tmp_path, 4242)
    assert killed == [4242]
