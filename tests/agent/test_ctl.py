from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from agent import ctl
from agent.osc.ports import bind_tcp
from agent.run_dir import ADDRESS, LOCK_FILE, Address, RunLock, write_address
from agent.ui.server import HOST, Api
from agent.ui.views import Views
from pamiq_lightning.exchange.rollouts import RolloutWriter
from tests.agent.lifecycle.run_fixture import FakeRun
from tests.conftest import VirtualClock
from tests.pamiq_lightning.exchange.test_rollouts import ring


@pytest.fixture
def run(tmp_path: Path, clock: VirtualClock) -> Iterator[FakeRun]:
    folder = tmp_path / "street" / "today"
    folder.mkdir(parents=True)
    lock = RunLock(folder)
    lock.take()
    run = FakeRun(folder, clock)
    run.begin()
    views = Views(folder, RolloutWriter(ring(tmp_path, rows=4, slots=4)), ("x",))
    api = Api(bind_tcp(HOST, 0), run.commands, views)
    write_address(folder, api.address)
    yield run
    api.close()
    lock.release()


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


def test_files_of_dead_and_broken_runs_never_hide_a_living_one(
    run: FakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in (("empty", ""), ("recycled", str(os.getpid())), ("odd", "\N{SNOWMAN}")):
        broken = tmp_path / "street" / name
        broken.mkdir()
        for file in (LOCK_FILE, ADDRESS):
            (broken / file).write_text(text, encoding="utf-8")
    (tmp_path / "street" / "folder" / LOCK_FILE).mkdir(parents=True)
    assert ctl.find_run(tmp_path) == run.commands.folder
    assert call(monkeypatch, "pause", "--run", str(tmp_path)) == 0


@pytest.fixture
def silent(tmp_path: Path) -> Iterator[RunLock]:
    """The lock of a living agent without an API."""
    lock = RunLock(tmp_path)
    lock.take()
    yield lock
    lock.release()


def test_agent_that_does_not_answer_is_reported_as_such(
    silent: RunLock,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert call(monkeypatch, "pause", "--run", str(tmp_path)) == 1
    assert "does not answer" in capsys.readouterr().err


@pytest.mark.parametrize("answer", [b"[]", b"{}"])
def test_answer_of_another_program_is_reported(
    silent: RunLock,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    answer: bytes,
) -> None:
    class Other(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(404)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer((HOST, 0), Other) as server:
        threading.Thread(target=server.handle_request).start()
        write_address(tmp_path, Address(HOST, server.server_port, "secret"))
        assert call(monkeypatch, "pause", "--run", str(tmp_path)) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")


def test_stop_falls_back_on_a_signal(
    silent: RunLock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed: list[int] = []

    def kill(pid: int, number: int) -> None:
        killed.append(pid)
        silent.release()

    monkeypatch.setattr(ctl.os, "kill", kill)
    assert ctl.stop(tmp_path)
    assert killed == [os.getpid()]


def test_stop_signals_no_process_that_is_not_proven_to_be_the_agent(
    silent: RunLock,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # As seen from another container: the lock is held, but by none of the processes here.
    monkeypatch.setattr(ctl, "agent_process", lambda folder: None)
    monkeypatch.setattr(ctl.os, "kill", lambda *_: pytest.fail("a signal was sent"))
    assert call(monkeypatch, "stop", "--run", str(tmp_path)) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "not one of yours here" in line
    silent.release()
    # A dead run whose number was given to another process.
    assert call(monkeypatch, "stop", "--run", str(tmp_path)) == 1
    assert "no agent runs in" in capsys.readouterr().err


def test_interrupted_wait_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(command: str, run: Path) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(ctl, "_do", interrupted)
    monkeypatch.setattr(sys, "argv", ["ctl", "stop"])
    assert ctl.main() == 130
    assert "goes on" in capsys.readouterr().err
