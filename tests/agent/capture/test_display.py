"""Screen capture of real X displays; needs Xvfb (and Xvnc), hence slow: `pytest -m slow`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from agent.capture.base import CaptureError
from agent.capture.grabber import MssGrabber
from agent.capture.grabber_x11 import X11Grabber
from agent.capture.screen import Screen
from agent.capture.window import Rectangle, find_window
from tests.agent.osc.conftest import Clock

pytestmark = pytest.mark.slow

SIZE = (200, 120)


@contextmanager
def x_server(*command: str) -> Iterator[str]:
    if shutil.which(command[0]) is None:
        pytest.skip(f"no {command[0]} here")
    read, write = os.pipe()
    server = subprocess.Popen(
        [*command, "-displayfd", str(write)], pass_fds=[write], stderr=subprocess.DEVNULL
    )
    os.close(write)
    with os.fdopen(read) as numbers:
        display = f":{numbers.readline().strip()}"
    yield display
    server.terminate()
    server.wait()


@pytest.fixture(autouse=True)
def display(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with x_server("Xvfb", "-noreset", "-screen", "0", "640x480x24") as display:
        monkeypatch.setenv("DISPLAY", display)
        yield display


@pytest.fixture
def vnc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A display that mss refuses, and whose size can change."""
    from Xlib.protocol import event
    from Xlib.protocol.display import Display

    # python-xlib shares them between displays, whose extensions have other numbers.
    monkeypatch.setattr(Display, "event_classes", event.event_class.copy())
    local = ("-SecurityTypes", "None", "-rfbunixpath", str(tmp_path / "rfb"), "-rfbport", "-1")
    with x_server("Xvnc", "-geometry", "640x480", *local) as display:
        monkeypatch.setenv("DISPLAY", display)
        yield display


class Painted:
    """A window titled VRChat inside a frame, as window managers make them: left red, right blue."""

    def __init__(self, property_name: str = "_NET_WM_NAME", title: str = "VRChat") -> None:
        from Xlib.display import Display

        self._display = Display()
        screen = self._display.screen()
        self._frame = screen.root.create_window(30, 20, 220, 160, 0, screen.root_depth)
        self._window = self._frame.create_window(10, 25, *SIZE, 0, screen.root_depth)
        name = self._display.intern_atom(property_name)
        kind = self._display.intern_atom("UTF8_STRING")
        self._window.change_property(name, kind, 8, title.encode())
        self._frame.map()
        self._window.map()
        self.paint()

    def paint(self) -> None:
        pen = self._window.create_gc()
        for left, colour in ((0, 0xFF0000), (SIZE[0] // 2, 0x0000FF)):
            pen.change(foreground=colour)
            self._window.fill_rectangle(pen, left, 0, SIZE[0] // 2, SIZE[1])
        self._display.sync()

    def move(self, left: int, top: int) -> None:
        self._frame.configure(x=left, y=top)
        self._display.sync()
        self.paint()

    def close(self) -> None:
        self._display.close()


def expected(size: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    frame = np.zeros((3, size, size), np.uint8)
    frame[0, :, : size // 2] = 255
    frame[2, :, size // 2 :] = 255
    return frame


@pytest.mark.parametrize("name", ["_NET_WM_NAME", "WM_NAME"])
def test_framed_window_is_captured_exactly(name: str) -> None:
    painted = Painted(name)
    source = Screen(12)
    assert source.area == Rectangle(40, 45, *SIZE)
    assert (source.read() == expected(12)).all()
    painted.move(300, 200)
    assert (source.read() == expected(12)).all()
    assert source.area == Rectangle(310, 225, *SIZE)
    source.close()
    painted.close()


def test_window_partly_off_the_screen_is_captured() -> None:
    painted = Painted()
    painted.move(-100, -40)
    source = Screen(8)
    assert source.read().shape == (3, 8, 8)
    assert source.area == Rectangle(0, 0, 110, 105)
    source.close()
    painted.close()


def test_window_is_found_by_its_exact_title_only() -> None:
    painted = Painted(title="VRChat - File Manager")
    assert find_window() is None
    painted.close()


def test_window_of_the_process_that_takes_the_inputs_is_captured() -> None:
    code = (
        "from tests.agent.capture.test_display import Painted; p = Painted(); p.move(400, 300); "
        "print('ready', flush=True); input(); p._frame.unmap(); p._display.sync(); "
        "print('hidden', flush=True); input()"
    )
    painted = Painted()
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdin is not None and other.stdout is not None
        assert other.stdout.readline() == "ready\n"
        for process, left in ((os.getpid(), 40), (other.pid, 410)):
            source = Screen(12, find_takers=lambda taker=process: {taker: "client"})
            assert source.area.left == left
            assert f"of process {process}, which takes the inputs" in source.notes[0]
            source.close()
        other.stdin.write("hide\n")
        other.stdin.flush()
        assert other.stdout.readline() == "hidden\n"
        with pytest.raises(CaptureError, match=rf"process {other.pid}\).*hidden"):
            Screen(12, find_takers=lambda: {other.pid: "client"})
        other.kill()
    painted.close()


def test_reopened_window_is_captured_again(clock: Clock) -> None:
    painted = Painted()
    source = Screen(12, clock=clock)
    painted.close()
    with pytest.raises(CaptureError, match="gone"):
        source.read()
    clock.now += 1.0
    with pytest.raises(CaptureError, match="no visible window"):
        source.read()
    painted = Painted()
    clock.now += 1.0
    assert (source.read() == expected(12)).all()
    source.close()
    painted.close()


def test_display_that_mss_refuses_is_captured_and_followed_as_it_grows(
    vnc: str, clock: Clock
) -> None:
    painted = Painted()
    source = Screen(12, clock=clock)
    assert source.notes[0].startswith("captured by X11 (mss: ")
    assert (source.read() == expected(12)).all()
    subprocess.run(["xrandr", "-s", "1600x1200"], check=True)
    painted.move(900, 700)
    clock.now += 1.0
    assert (source.read() == expected(12)).all()
    assert source.area == Rectangle(910, 725, *SIZE)
    painted.move(500, 300)
    source.read()
    subprocess.run(["xrandr", "-s", "640x480"], check=True)
    assert source.read().shape == (3, 12, 12)
    assert source.area == Rectangle(510, 325, 130, 120)
    source.close()
    painted.close()


@pytest.mark.parametrize("kind", [MssGrabber, X11Grabber])
def test_ended_display_is_a_capture_error(
    kind: type[MssGrabber] | type[X11Grabber], monkeypatch: pytest.MonkeyPatch
) -> None:
    with x_server("Xvfb", "-noreset", "-screen", "0", "640x480x24") as display:
        monkeypatch.setenv("DISPLAY", display)
        grabber = kind()
        assert len(grabber.grab(Rectangle(0, 0, 4, 4))) == 64
    for _ in range(2):
        with pytest.raises(CaptureError):
            grabber.grab(Rectangle(0, 0, 4, 4))
    grabber.close()
    grabber.close()
