from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from mss.exception import ScreenShotError

from agent.capture import grabber
from agent.capture.base import CaptureError, Rectangle
from agent.capture.grabber import MssGrabber, open_grabber


class Fallback:
    """A grabber that works, or says why not."""

    name = "fallback"
    failure: str | None = None

    def __init__(self) -> None:
        self.desktop = Rectangle(0, 0, 200, 100)

    def grab(self, area: Rectangle) -> bytes:
        if self.failure is not None:
            raise CaptureError(self.failure)
        return bytes(4 * area.width * area.height)

    def close(self) -> None:
        pass


class FakeMss:
    """mss at a display that may end."""

    monitors = ({"left": -10, "top": 5, "width": 200, "height": 100},)
    failure: Exception | None = None

    def grab(self, area: dict[str, int]) -> Any:
        if self.failure is not None:
            raise self.failure
        return SimpleNamespace(raw=bytearray(4 * area["width"] * area["height"]))

    def close(self) -> None:
        if self.failure is not None:
            raise ScreenShotError("connection lost")


@pytest.fixture(autouse=True)
def ways(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grabber, "_grabbers", lambda: [MssGrabber, Fallback])


def refuse() -> None:
    raise ScreenShotError("no such\n  visual")


def test_first_way_that_works_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mss.MSS", FakeMss)
    found, failed = open_grabber()
    assert (found.name, failed) == ("mss", "")
    assert found.desktop == Rectangle(-10, 5, 200, 100)
    assert len(found.grab(Rectangle(0, 5, 3, 2))) == 24


def test_next_way_is_tried_and_the_reason_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mss.MSS", refuse)
    found, failed = open_grabber()
    assert (found.name, failed) == ("fallback", "mss: no such visual")


def test_way_that_opens_but_delivers_nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mss.MSS", FakeMss)
    monkeypatch.setattr(FakeMss, "failure", ScreenShotError("refused"))
    found, failed = open_grabber()
    assert (found.name, failed) == ("fallback", "mss: refused")


def test_error_names_every_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mss.MSS", refuse)
    monkeypatch.setattr(Fallback, "failure", "not BGRX")
    with pytest.raises(CaptureError, match=r"mss: no such visual; fallback: not BGRX"):
        open_grabber()


@pytest.mark.parametrize("failure", [AssertionError(), ScreenShotError("lost")])
def test_ended_display_is_a_capture_error(
    monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    monkeypatch.setattr("mss.MSS", FakeMss)
    found = MssGrabber()
    monkeypatch.setattr(FakeMss, "failure", failure)
    with pytest.raises(CaptureError, match=r"lost|does not answer"):
        found.grab(Rectangle(0, 5, 3, 2))
    found.close()
