from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from mss.exception import ScreenShotError

from agent.capture import screen
from agent.capture.base import CaptureError
from agent.capture.screen import Screen
from agent.capture.window import Rectangle
from tests.agent.osc.conftest import Clock


class Desktop:
    """A fake display of 200 x 100 pixels with one window on it."""

    def __init__(self) -> None:
        self.pixels = np.zeros((100, 200, 4), np.uint8)
        self.monitors = [{"left": 0, "top": 0, "width": 200, "height": 100}]
        self.place: Rectangle | None = Rectangle(20, 10, 120, 60)
        self.broken = False
        self.attached = 0

    def attach(self, title: str) -> Desktop:
        if self.place is None:
            raise CaptureError(f"no {title}")
        self.attached += 1
        return self

    def rectangle(self) -> Rectangle:
        if self.place is None:
            raise CaptureError("gone")
        return self.place

    def grab(self, area: dict[str, int]) -> Any:
        if self.broken:
            raise ScreenShotError("XProtoError")
        part = self.pixels[area["top"] :, area["left"] :][: area["height"], : area["width"]]
        assert part.shape[:2] == (area["height"], area["width"]), "grabbed beyond the screen"
        return SimpleNamespace(
            raw=bytearray(part.tobytes()), width=area["width"], height=area["height"]
        )

    def close(self) -> None:
        pass


@pytest.fixture
def desktop(monkeypatch: pytest.MonkeyPatch) -> Desktop:
    desktop = Desktop()
    monkeypatch.setattr(screen, "attach_window", desktop.attach)
    monkeypatch.setattr(screen, "_open_grabber", lambda: desktop)
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
