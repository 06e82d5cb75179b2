from __future__ import annotations

import errno
import io
import itertools
import json
import sys
import threading
from pathlib import Path

import pytest
from rich.console import Console

from agent.metrics import LoopMetrics
from agent.pause import PERSON, Pauses
from agent.run_dir import ADDRESS, SUMMARY, Address
from agent.ui import terminal
from agent.ui.terminal import (
    StatusDisplay,
    StatusSource,
    block,
    page_to_show,
    plain_line,
    write_summary,
)
from pamiq_lightning.exchange.status_board import LEARNER_METRICS, StatusBoard, StatusBoardSpec


@pytest.fixture
def source(tmp_path: Path) -> StatusSource:
    board = StatusBoard(StatusBoardSpec(tmp_path / "board", ("encoder", "decoder")), create=True)
    metrics = dict.fromkeys(LEARNER_METRICS, 0.0)
    metrics |= {"rollouts": 3, "updates": 24, "seconds": 4.5, "loss": 0.125, "version": 4}
    board.set_learner("encoder", metrics)
    board.set_learner("decoder", {**metrics, "loss": float("nan")})
    board.rounds, board.rollouts_dropped = 3, 1
    loop = LoopMetrics(0.1)
    for k in range(100):
        loop.begin(k * 0.1, k * 0.1, 0)
        loop.end(k * 0.1, k * 0.1 + 0.004, k * 0.1 + 0.008)
        loop.reward.add(2.0)
    loop.reward.end_rollout()
    roles, world = ("encoder", "decoder"), {"invalid_reason": "dark", "stuck": 2}
    return StatusSource(
        loop, board, roles, lambda: {"encoder": 4}, lambda: 3, Pauses(), lambda: world
    )


def test_summary_has_the_metrics_of_loop_and_learners(source: StatusSource) -> None:
    summary = json.loads(json.dumps(source.summary(), allow_nan=False))
    assert summary["ticks"] == 100
    assert summary["rate_hz"] == pytest.approx(10.09, abs=0.02)
    assert summary["missed_ticks"] == 0
    assert summary["tick_ms"]["p50"] == pytest.approx(8.0, rel=0.02)
    assert summary["latency_ms"]["max"] == pytest.approx(4.0, rel=0.02)
    assert (summary["rollouts_filled"], summary["rollouts_dropped"]) == (3, 1)
    assert summary["learners"]["encoder"] == {
        "rollouts": 3,
        "updates": 24,
        "replay_updates": 0,
        "skipped": 0,
        "rollbacks": 0,
        "seconds": 4.5,
        "loss": 0.125,
        "version_in_use": 4,
    }
    assert summary["learners"]["decoder"]["version_in_use"] is None
    assert summary["learners"]["decoder"]["loss"] is None
    assert summary["reward"] == {
        "mean": 2.0,
        "first_rollout": 2.0,
        "last_rollout": 2.0,
        "not_finite": 0,
    }


def test_block_and_line_show_the_metrics(source: StatusSource) -> None:
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(block(source, "q stops"))
    for text in (console.export_text(), plain_line(source)):
        assert "0:00:09" in text and "missed 0" in text
        assert "invalid_reason: dark" in text
        assert "encoder" in text and "24" in text and "0.125" in text


def test_dumb_terminal_gets_plain_lines(
    source: StatusSource, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(terminal, "REFRESH_S", 0.001)
    monkeypatch.setattr(terminal, "PLAIN_EVERY", 1)
    display = StatusDisplay(source, lambda: None, "q stops")
    display._console = Console(force_terminal=True, _environ={"TERM": "dumb"})
    with display:
        display.safe_print("hello")
    hint, *lines = capsys.readouterr().out.splitlines()
    assert hint == "q stops"
    assert "hello" in lines and plain_line(source) in lines


def test_token_of_the_page_is_shown_on_terminals_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = Address("127.0.0.1", 4321, "secret")
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stdout", stream)
    assert page_to_show(address, tmp_path) == (
        f"http://127.0.0.1:4321/ (with its token: {tmp_path / ADDRESS})"
    )
    monkeypatch.setattr(stream, "isatty", lambda: True, raising=False)
    assert page_to_show(address, tmp_path) == address.page


def test_summary_is_written_whole(source: StatusSource, tmp_path: Path) -> None:
    assert write_summary(tmp_path / SUMMARY, source.summary())
    assert json.loads((tmp_path / SUMMARY).read_text()) == source.summary()
    assert not list(tmp_path.glob("*.part"))


class FailingStream(io.StringIO):
    """A log whose disk is full, or a pipe whose reader has gone."""

    def __init__(self, failure: BaseException) -> None:
        super().__init__()
        self._failure = failure

    def write(self, text: str) -> int:
        raise self._failure


@pytest.mark.parametrize("failure", [OSError(errno.ENOSPC, "full"), BrokenPipeError()])
def test_processes_are_watched_even_if_the_terminal_fails(
    source: StatusSource, monkeypatch: pytest.MonkeyPatch, failure: OSError
) -> None:
    monkeypatch.setattr(terminal, "REFRESH_S", 0.001)
    monkeypatch.setattr(terminal, "PLAIN_EVERY", 1)
    calls, done = itertools.count(), threading.Event()

    def watch() -> None:
        call = next(calls)
        if call == 20:
            done.set()
        raise RuntimeError(f"call {min(call, 5)} failed")

    display = StatusDisplay(source, watch, "q stops")
    monkeypatch.setattr(sys, "stdout", FailingStream(failure))
    printed: list[str] = []
    safe_print = display.safe_print
    monkeypatch.setattr(
        display, "safe_print", lambda text: (printed.append(text), safe_print(text))
    )
    with display:
        display.safe_print("hello")
        assert done.wait(60)
    # The same failure is printed once.
    failures = [text for text in printed if "watching the processes" in text]
    assert len(failures) == 6 and "call 5 failed" in failures[-1]


def test_pause_is_shown_with_its_reasons_and_excluded_from_alive_s(source: StatusSource) -> None:
    source.pauses.add(PERSON)
    assert "PAUSED" not in plain_line(source)
    source.pauses.confirm(True)
    assert plain_line(source).startswith("PAUSED (person)")
    source.metrics.exclude_pause(100.0)
    source.pauses.confirm(False)
    summary = source.summary()
    assert (summary["pauses"], summary["paused_s"]) == (1, 100.0)
    assert summary["alive_s"] == pytest.approx(9.908)
    assert summary["rate_hz"] == pytest.approx(10.09, abs=0.02)
