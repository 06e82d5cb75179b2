from __future__ import annotations

import os
import time
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from agent.worlds.embedded.emulator.faults import CommandReader, FaultyDisplay
from agent.worlds.embedded.emulator.window import cover

LIVE = np.full((3, 4, 4), 100, np.uint8)


class RecordingWindow:
    """Records what a real window would show and do."""

    def __init__(self) -> None:
        self.shown: list[int] = []
        self.calls: list[tuple[Any, ...]] = []

    def show(self, frame: NDArray[np.uint8]) -> None:
        self.shown.append(int(frame[0, 0, 0]))

    def resize(self, *size: int) -> None:
        self.calls.append(("resize", *size))

    def move(self, *position: int) -> None:
        self.calls.append(("move", *position))

    def handle_events(self) -> bool:
        return False

    def close(self) -> None:
        self.calls.append(("close",))


@pytest.fixture
def windows() -> list[RecordingWindow]:
    return []


@pytest.fixture
def display(windows: list[RecordingWindow]) -> FaultyDisplay:
    def open_window() -> RecordingWindow:
        windows.append(RecordingWindow())
        return windows[-1]

    return FaultyDisplay(open_window, 30)  # type: ignore[arg-type]


def show(display: FaultyDisplay, count: int) -> None:
    for _ in range(count):
        display.show(lambda: LIVE)


def test_picture_faults_last_until_fps_ends_them(
    display: FaultyDisplay, windows: list[RecordingWindow]
) -> None:
    for command in ("fps 30", "freeze", "black", "white", "fps 30"):
        display.apply(command)
        show(display, 2)
    assert windows[0].shown == [100, 100, 0, 0, 255, 255, 100, 100]


def test_fps_shows_a_share_of_the_frames(
    display: FaultyDisplay, windows: list[RecordingWindow]
) -> None:
    display.apply("fps 2")
    show(display, 60)
    assert len(windows[0].shown) == 4


def test_window_is_resized_moved_closed_and_opened(
    display: FaultyDisplay, windows: list[RecordingWindow]
) -> None:
    for command in ("resize 64 40", "move 5 2", "close", "close", "resize 8 8"):
        display.apply(command)
    assert windows[0].calls == [("resize", 64, 40), ("move", 5, 2), ("close",)]
    show(display, 1)
    assert display.handle_events() and not windows[0].shown
    display.apply("open")
    display.apply("open")
    show(display, 1)
    assert len(windows) == 2 and windows[1].shown == [100]
    assert not display.handle_events()


def test_display_without_a_window_renders_nothing() -> None:
    display = FaultyDisplay(None, 30)
    display.show(lambda: pytest.fail("rendered"))
    assert display.handle_events()


@pytest.mark.parametrize("command", ["", "explode", "fps", "resize 1", "move a b"])
def test_wrong_commands_are_refused(display: FaultyDisplay, command: str) -> None:
    with pytest.raises(ValueError):
        display.apply(command)


def test_commands_are_read_from_a_stream_and_confirmed(
    display: FaultyDisplay, windows: list[RecordingWindow], capsys: pytest.CaptureFixture[str]
) -> None:
    read, write = os.pipe()
    reader = CommandReader(read)
    os.write(write, b"black\nexplode\n")
    os.close(write)
    printed = ""
    end = time.monotonic() + 10.0
    while printed.count("\n") < 2 and time.monotonic() < end:
        reader.apply_pending(display)
        printed += capsys.readouterr().out
    confirmed, refused = printed.splitlines()
    assert confirmed.startswith("done ") and confirmed.endswith(" black")
    assert refused == "unknown command 'explode'"
    os.close(read)


def test_cover_scales_to_the_window_and_crops_to_the_centre() -> None:
    frame = np.arange(48, dtype=np.uint8).reshape(3, 4, 4)
    assert cover(frame, 4, 4) is frame
    assert (cover(frame, 8, 8) == frame.repeat(2, axis=1).repeat(2, axis=2)).all()
    assert (cover(frame, 4, 8) == cover(frame, 8, 8)[:, 2:6]).all()
