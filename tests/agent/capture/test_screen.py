from __future__ import annotations

import numpy as np
import pytest

from agent.capture import screen
from agent.capture.base import CaptureError
from agent.capture.screen import Screen
from agent.capture.window import Rectangle
from tests.agent.osc.conftest import Clock


class Desktop:
    """A fake display of 200 x 100 pixels with one window on it."""

    def __init__(self) -> None:
        self.pixels = np.zeros((100, 200, 4), np.uint8)
        self.place: Rectangle | None = Rectangle(20, 10, 120, 60)
        self.broken = False
        self.failed = ""
        self.attached = self.opened = 0

    def resize(self, width: int, height: int) -> None:
        self.pixels = np.zeros((height, width, 4), np.uint8)

    note = ""

    def attach(self, title: str, takers: object) -> Desktop:
        if self.place is None:
            raise CaptureError(f"no {title}")
        self.attached += 1
        return self

    def rectangle(self) -> Rectangle:
        if self.place is None:
            raise CaptureError("gone")
        return self.place

    def open_grabber(self) -> tuple[FakeGrabber, str]:
        self.opened += 1
        return FakeGrabber(self), self.failed

    def close(self) -> None:
        pass


class FakeGrabber:
    """Grabs from a fake display, whose size it reads once, as the real ones do."""

    name = "fake"

    def __init__(self, display: Desktop) -> None:
        self._display = display
        height, width, _ = display.pixels.shape
        self.desktop = Rectangle(0, 0, width, height)

    def grab(self, area: Rectangle) -> bytes:
        rows = self._display.pixels[area.top :, area.left :][: area.height, : area.width]
        if self._display.broken or rows.shape[:2] != (area.height, area.width):
            raise CaptureError("XProtoError")
        return rows.tobytes()

    def close(self) -> None:
        pass


@pytest.fixture
def desktop(monkeypatch: pytest.MonkeyPatch) -> Desktop:
    desktop = Desktop()
    monkeypatch.setattr(screen, "attach_window", desktop.attach)
    monkeypatch.setattr(screen, "open_grabber", desktop.open_grabber)
    return desktop


def test_screen_returns_the_centre_square(desktop: Desktop) -> None:
    desktop.pixels[10:70, 50:110] = (0, 0, 255, 0)  # Red, exactly the middle of the window.
    frame = Screen(12).read()
    assert frame.shape == (3, 12, 12)
    assert (frame == np.array([255, 0, 0], np.uint8)[:, None, None]).all()


def test_screen_follows_a_moved_window(desktop: Desktop) -> None:
    source = Screen(6)
    assert source.read().max() == 0
    desktop.place = Rectangle(60, 30, 60, 60)
    desktop.pixels[30:90, 60:120] = 99
    assert (source.read() == 99).all()


def test_screen_clamps_a_window_partly_off_the_screen(desktop: Desktop) -> None:
    desktop.place = Rectangle(-40, 50, 120, 120)
    source = Screen(6)
    assert source.read().shape == (3, 6, 6)
    assert source.area == Rectangle(0, 50, 80, 50)
    assert source.captured == (80, 50)


def test_enlarged_screen_is_noticed(desktop: Desktop, clock: Clock) -> None:
    source = Screen(6, clock=clock)
    desktop.resize(400, 300)
    desktop.place = Rectangle(150, 10, 120, 60)
    assert (source.read().shape, source.area.width) == ((3, 6, 6), 50)
    clock.now += 1.0
    source.read()
    assert source.area == desktop.place
    desktop.place = Rectangle(250, 200, 120, 60)
    source.read()
    assert source.area == desktop.place


def test_screen_is_read_again_once_a_second_at_most(desktop: Desktop, clock: Clock) -> None:
    source = Screen(6, clock=clock)
    desktop.place = Rectangle(-40, 10, 120, 60)
    for _ in range(30):
        clock.now += 0.1
        source.read()
    assert 3 <= desktop.opened <= 4
    desktop.place = Rectangle(0, 10, 120, 60)
    opened = desktop.opened
    clock.now += 10.0
    source.read()
    assert desktop.opened == opened


def test_reduced_screen_is_captured_at_once(desktop: Desktop, clock: Clock) -> None:
    source = Screen(6, clock=clock)
    desktop.resize(100, 60)
    assert source.read().shape == (3, 6, 6)
    assert source.area == Rectangle(20, 10, 80, 50)


def test_clamped_window_and_the_way_of_capture_are_said_once(
    desktop: Desktop, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    desktop.failed = "mss: no such visual"
    desktop.place = Rectangle(-40, 10, 120, 60)
    source = Screen(6, clock=clock)
    for _ in range(20):
        clock.now += 0.5
        source.read()
    assert source.notes[0] == "captured by fake (mss: no such visual)"
    assert "off the screen" in source.notes[1]
    assert len(capsys.readouterr().err.splitlines()) == 2
    desktop.place, desktop.failed = Rectangle(0, 10, 120, 60), ""
    source.read()
    assert source.notes == ("captured by fake (mss: no such visual)",)


def test_error_names_a_window_off_the_screen(desktop: Desktop) -> None:
    desktop.place = Rectangle(500, 0, 120, 60)
    with pytest.raises(CaptureError, match="move it back"):
        Screen(6)


def test_vanished_window_is_searched_once_a_second(desktop: Desktop, clock: Clock) -> None:
    source = Screen(6, clock=clock)
    place, desktop.place = desktop.place, None
    with pytest.raises(CaptureError, match="gone"):
        source.read()
    desktop.place = place
    with pytest.raises(CaptureError, match="gone"):
        source.read()
    clock.now += 1.0
    assert source.read().shape == (3, 6, 6)
    assert desktop.attached == 2


def test_failed_capture_raises_capture_error_and_recovers(desktop: Desktop, clock: Clock) -> None:
    source = Screen(6, clock=clock)
    desktop.broken = True
    with pytest.raises(CaptureError, match="XProtoError"):
        source.read()
    desktop.broken = False
    clock.now += 1.0
    assert source.read().shape == (3, 6, 6)


def test_closed_screen_raises(desktop: Desktop, clock: Clock) -> None:
    source = Screen(6, clock=clock)
    source.close()
    source.close()
    clock.now += 100.0
    with pytest.raises(CaptureError, match="closed"):
        source.read()
