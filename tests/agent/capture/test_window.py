from __future__ import annotations

import sys

import pytest

from agent.capture.base import CaptureError
from agent.capture.window import Rectangle, attach_window, find_window


def test_rectangle_is_clamped() -> None:
    screen = Rectangle(0, 0, 1920, 1080)
    assert Rectangle(-100, 900, 640, 360).clamped(screen) == Rectangle(0, 900, 540, 180)
    assert Rectangle(2000, 10, 640, 360).clamped(screen).width == 0


def test_screen_to_the_left_has_negative_coordinates() -> None:
    both = Rectangle(-1280, 0, 3200, 1080)
    assert Rectangle(-1000, 20, 640, 360).clamped(both) == Rectangle(-1000, 20, 640, 360)


@pytest.mark.parametrize(
    ("area", "square"),
    [
        (Rectangle(10, 20, 640, 360), Rectangle(150, 20, 360, 360)),
        (Rectangle(0, 0, 300, 501), Rectangle(0, 100, 300, 300)),
    ],
)
def test_centre_square(area: Rectangle, square: Rectangle) -> None:
    assert area.centre_square() == square


@pytest.mark.skipif(sys.platform != "linux", reason="DISPLAY means something on Linux only")
@pytest.mark.parametrize(
    ("environment", "advice"),
    [
        ({}, "DISPLAY is not set"),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "X11 session"),
        ({"DISPLAY": ":9"}, "cannot be opened"),
    ],
)
def test_missing_display_error_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], advice: str
) -> None:
    from Xlib.error import DisplayConnectionError

    def refuse(name: str) -> None:
        raise DisplayConnectionError(name, "nobody answers")

    monkeypatch.setattr("Xlib.display.Display", refuse)
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(CaptureError, match=advice):
        attach_window()
    assert find_window() is None


def test_error_names_an_unsupported_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(CaptureError, match="darwin"):
        attach_window()
    assert find_window() is None
