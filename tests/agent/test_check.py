from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from agent import check
from agent.capture.base import CaptureError
from agent.capture.window import Rectangle
from agent.check import MOVES, Context, Finding, blank, capture, main, move, query, receive, send
from agent.osc.ports import bind_udp
from agent.osc.query import Found, OscQueryError
from tests.agent.osc.receiver import Receiver


class FrameSource:
    """Returns new noise at every read, as of a moving avatar, or a given frame."""

    captured = None

    def __init__(self, frame: NDArray[np.uint8] | None = None) -> None:
        self._frame = frame
        self._rng = np.random.default_rng(0)

    def read(self) -> NDArray[np.uint8]:
        if self._frame is not None:
            return self._frame
        return self._rng.integers(0, 256, (3, 8, 8), np.uint8)

    def close(self) -> None:
        self._frame = None


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
def context(receiver: Receiver, tmp_path: Path) -> Context:
    return Context(
        host="127.0.0.1",
        port=receiver.port,
        title="VRChat",
        listen=0,
        picture=tmp_path / "capture.png",
        ask=lambda question: "",
        sleep=lambda seconds: None,
        source=FrameSource(),
    )


@pytest.fixture
def parts() -> Iterator[ExitStack]:
    with ExitStack() as parts:
        yield parts


def test_capture_is_written_as_png(context: Context, parts: ExitStack) -> None:
    (finding,) = capture(context, parts)
    assert finding.works
    with Image.open(context.picture) as image:
        assert image.size == (8, 8)


def test_picture_that_cannot_be_written_ends_no_check(context: Context, parts: ExitStack) -> None:
    context.picture = context.picture.parent / "missing" / "capture.png"
    (finding,) = capture(context, parts)
    assert finding.works and "capture.png is not written: " in finding.detail


@pytest.mark.parametrize(("level", "why"), [(0, "black"), (100, "one colour")])
def test_blank_capture_is_reported_as_failed(
    context: Context, parts: ExitStack, level: int, why: str
) -> None:
    context.source = FrameSource(np.full((3, 8, 8), level, np.uint8))
    (finding,) = capture(context, parts)
    assert finding.works is False
    assert why in finding.detail


def test_noise_is_not_blank() -> None:
    assert blank(FrameSource().read()) is None


def test_missing_window_is_reported(
    context: Context, parts: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(size: int, title: str, find_takers: object) -> None:
        raise CaptureError(f"no window {title}")

    monkeypatch.setattr(check, "Screen", missing)
    context.source = None
    assert list(capture(context, parts)) == [Finding("window", False, "no window VRChat")]


def test_every_move_is_sent_and_released(
    context: Context, parts: ExitStack, receiver: Receiver
) -> None:
    assert [finding.works for finding in send(context, parts)] == [True]
    assert [finding.works for finding in receive(context, parts)] == [None]
    receiver.pending()
    findings = list(move(context))
    assert [finding.step for finding in findings] == list(MOVES)
    assert all(finding.works for finding in findings)
    messages = receiver.pending()
    for pressed in (("/input/Vertical", -1.0), ("/input/Horizontal", 1.0), ("/input/Run", 1)):
        assert pressed in messages
    assert all(value == 0 for value in dict(messages).values())


def test_moves_can_be_skipped_and_stopped(context: Context, parts: ExitStack) -> None:
    answers = iter(["s", "q"])
    context.ask = lambda question: next(answers)
    list(send(context, parts))
    assert list(move(context)) == [Finding("forward", None, "skipped")]


def test_missing_listener_is_reported(context: Context, parts: ExitStack) -> None:
    unused = bind_udp("127.0.0.1", 0)
    context.port = unused.getsockname()[1]
    unused.close()
    (finding,) = send(context, parts)
    assert finding.works is False
    assert "nobody listens" in finding.detail


def test_taken_port_is_reported(context: Context, parts: ExitStack, receiver: Receiver) -> None:
    context.listen = receiver.port
    (finding,) = receive(context, parts)
    assert finding.works is False
    assert "is taken by" in finding.detail


def client(number: int, port: int, local: bool = True) -> Found:
    return Found(f"VRChat-Client-{number}", "127.0.0.1" if local else "192.0.2.1", port, local)


def found(context: Context, monkeypatch: pytest.MonkeyPatch, *clients: Found) -> Finding:
    monkeypatch.setattr(check, "find_clients", lambda: list(clients))
    (finding,) = query(context)
    return finding


def test_missing_oscquery_is_no_failure(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> list[Found]:
        raise OscQueryError("no zeroconf")

    assert found(context, monkeypatch).works is None
    monkeypatch.setattr(check, "find_clients", fail)
    assert next(query(context)) == Finding("OSCQuery", None, "no zeroconf")


def test_every_client_of_oscquery_is_named(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    finding = found(context, monkeypatch, client(1, 9100), client(2, context.port))
    assert finding.works
    assert "VRChat-Client-1 on this machine takes OSC on port 9100" in finding.detail
    assert f"--port {context.port} is VRChat-Client-2" in finding.detail


def test_oscquery_without_a_client_at_the_port_fails(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    for other in (client(1, context.port + 1), client(1, context.port, local=False)):
        finding = found(context, monkeypatch, other)
        assert finding.works is False
        assert f"none is at 127.0.0.1:{context.port}" in finding.detail


class Terminal:
    """Answers every question the same way, and waits for nothing."""

    def __init__(self, answer: str) -> None:
        self._answer = answer

    def ask(self, question: str) -> str:
        if self._answer == "Ctrl-C":
            raise KeyboardInterrupt
        return self._answer

    def sleep(self, seconds: float) -> None:
        return


@pytest.fixture
def options(receiver: Receiver, tmp_path: Path) -> list[str]:
    ports = ["--port", str(receiver.port), "--listen", "0"]
    return [*ports, "--no-oscquery", "--picture", str(tmp_path / "capture.png")]


def test_table_lists_what_fails(
    options: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(size: int, title: str, find_takers: object) -> None:
        raise CaptureError("no screen here")

    monkeypatch.setattr(check, "Screen", missing)
    terminal = Terminal("s")
    assert main([*options, "--no-move"], terminal.ask, terminal.sleep) == 1
    output = capsys.readouterr().out
    assert "no screen here" in output
    assert "OSC out" in output


def test_ctrl_c_releases_all_inputs(
    options: list[str],
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    screen = FrameSource()
    screen.area, screen.notes = Rectangle(0, 0, 640, 360), ()  # type: ignore[attr-defined]
    monkeypatch.setattr(check, "Screen", lambda size, title, find_takers: screen)
    terminal = Terminal("Ctrl-C")
    assert main(options, terminal.ask, terminal.sleep) == 0
    assert "inputs are released" in capsys.readouterr().out
    assert all(value == 0 for _, value in receiver.pending())
