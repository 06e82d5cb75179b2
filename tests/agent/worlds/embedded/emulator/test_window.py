"""The emulator's window on a real X display; needs Xvfb, hence slow: `pytest -m slow`."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from numpy.typing import NDArray
from pythonosc.udp_client import SimpleUDPClient

from agent.capture.base import CaptureError
from agent.capture.window import attach_window
from tests.agent.worlds.embedded.emulator.test_emulator import emulator

pytest.importorskip("pygame")
mss = pytest.importorskip("mss")
X = pytest.importorskip("Xlib.X")
xlib_display = pytest.importorskip("Xlib.display")
xtest = pytest.importorskip("Xlib.ext.xtest")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("Xvfb") is None, reason="needs Xvfb"),
]
WIDTH, HEIGHT = 256, 144
PATIENCE = 20.0
KEY_W = 25
"""The key W on the keyboard that Xvfb pretends to have."""


@pytest.fixture
def display(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    read, write = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-noreset", "-displayfd", str(write), "-screen", "0", "640x480x24"],
        pass_fds=[write],
        stderr=subprocess.DEVNULL,
    )
    os.close(write)
    with os.fdopen(read) as number:
        name = f":{number.readline().strip()}"
    monkeypatch.setenv("DISPLAY", name)
    yield name
    server.terminate()
    server.wait()


def eventually(condition: Callable[[], bool], what: str) -> None:
    limit = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < limit, what


def capture(grabber: mss.MSS) -> NDArray[np.int16]:  # type: ignore[name-defined]
    window = attach_window("VRChat")
    area = window.rectangle()
    window.close()
    shot = grabber.grab(
        {"left": area.left, "top": area.top, "width": area.width, "height": area.height}
    )
    return np.asarray(shot)[..., 2::-1].astype(np.int16)


def test_window_is_found_captured_and_moved_by_osc_and_keys(display: str) -> None:
    options = ("--osc_out=0", f"--width={WIDTH}", f"--height={HEIGHT}", "--scene.moving=false")
    with (
        emulator(
            "--scene=agent.worlds.embedded.scenes.street.Street",
            *options,
            DISPLAY=display,
            SDL_VIDEODRIVER="x11",
        ) as (_, port),
        mss.MSS() as grabber,
        SimpleUDPClient("127.0.0.1", port) as client,
    ):
        eventually(lambda: capture(grabber).std() > 20.0, "the window shows nothing")
        still = capture(grabber)
        assert still.shape == (HEIGHT, WIDTH, 3)
        assert np.abs(capture(grabber) - still).max() == 0

        client.send_message("/input/Vertical", 1)
        eventually(lambda: np.abs(capture(grabber) - still).mean() > 5.0, "OSC moved nothing")
        client.send_message("/input/Vertical", 0)

        eventually(lambda: is_still(grabber), "the body did not stop")
        before = capture(grabber)
        press_w(display, down=True)
        eventually(lambda: np.abs(capture(grabber) - before).mean() > 5.0, "W moved nothing")
        press_w(display, down=False)
        eventually(lambda: is_still(grabber), "the body did not stop when W was released")


def test_window_follows_fault_commands(display: str) -> None:
    options = ("--osc_out=0", "--width=64", "--height=64", "--window_size=[128,96]")
    with (
        emulator(*options, "--faults=true", DISPLAY=display, SDL_VIDEODRIVER="x11") as (process, _),
        mss.MSS() as grabber,
    ):
        eventually(lambda: capture(grabber).std() > 20.0, "the window shows nothing")
        assert capture(grabber).shape == (96, 128, 3)
        command(process, "white")
        eventually(lambda: capture(grabber).min() == 255, "the picture is not white")
        command(process, "resize 100 80")
        eventually(lambda: capture(grabber).shape == (80, 100, 3), "the size is the old one")
        command(process, "close")
        with pytest.raises(CaptureError, match="no visible window"):
            attach_window("VRChat")
        command(process, "open")
        command(process, "fps 30")
        eventually(lambda: capture(grabber).std() > 20.0, "the picture did not come back")


def command(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(line + "\n")
    process.stdin.flush()
    assert process.stdout.readline().endswith(f" {line}\n")


def is_still(grabber: mss.MSS) -> bool:  # type: ignore[name-defined]
    """Whether two pictures taken more than a frame apart are the same."""
    first, taken = capture(grabber), time.monotonic()
    while time.monotonic() < taken + 0.1:
        if np.abs(capture(grabber) - first).max() > 0:
            return False
    return True


def press_w(name: str, *, down: bool) -> None:
    connection = xlib_display.Display(name)
    window = attach_window("VRChat")
    area = window.rectangle()
    window.close()
    # With no window manager the pointer decides who gets the keys.
    xtest.fake_input(connection, X.MotionNotify, x=area.left + 9, y=area.top + 9)
    xtest.fake_input(connection, X.KeyPress if down else X.KeyRelease, KEY_W)
    connection.sync()
    connection.close()
