from __future__ import annotations

import sys
import threading

import numpy as np
import pytest
from numpy.typing import NDArray

from agent.capture.base import CaptureError
from agent.capture.camera import Camera
from tests.agent.osc.conftest import Clock


class Device:
    """A camera whose pictures are handed to it one by one."""

    def __init__(self, opens: bool = True) -> None:
        self._opens = opens
        self._image: NDArray[np.uint8] | None = None
        self._waiting = threading.Semaphore(0)
        self.taken = threading.Semaphore(0)
        self.released = False

    def isOpened(self) -> bool:  # noqa: N802
        return self._opens

    def show(self, value: int) -> None:
        """Show an image 20 wide and 10 high, blue at `value`, with a white border."""
        image = np.full((10, 20, 3), 255, np.uint8)
        image[:, 5:15] = (value, 0, 0)
        self._image = image
        self._waiting.release()

    def read(self) -> tuple[bool, NDArray[np.uint8] | None]:
        # The second call shows that the frame of the first was received.
        self.taken.release()
        if self._waiting.acquire(timeout=0.02):
            return True, self._image
        return False, None

    def release(self) -> None:
        self.released = True


@pytest.fixture
def device() -> Device:
    device = Device()
    device.show(80)
    return device


def test_camera_returns_the_centre_square_in_rgb(device: Device, clock: Clock) -> None:
    camera = Camera(5, clock=clock, opener=lambda source: device)
    frame = camera.read()
    assert frame.shape == (3, 5, 5)
    assert frame[:, 2, 2].tolist() == [0, 0, 80]
    assert frame[2].max() == 80
    camera.close()
    camera.close()
    assert device.released


def test_camera_without_new_frames_raises(device: Device, clock: Clock) -> None:
    camera = Camera(5, clock=clock, opener=lambda source: device)
    clock.now += 1.5
    with pytest.raises(CaptureError, match="no new frame"):
        camera.read()
    device.show(90)
    while device.taken.acquire(blocking=False):
        continue
    device.taken.acquire()
    device.taken.acquire()
    assert camera.read()[2].max() == 90
    camera.close()


def test_error_names_a_camera_that_does_not_open() -> None:
    device = Device(opens=False)
    with pytest.raises(CaptureError, match="Camera 3 cannot be opened"):
        Camera(5, 3, opener=lambda source: device)
    assert device.released


def test_closed_camera_raises(device: Device) -> None:
    camera = Camera(5, opener=lambda source: device)
    camera.close()
    with pytest.raises(CaptureError, match="closed"):
        camera.read()


def test_without_opencv_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(CaptureError, match=r"\[camera\]"):
        Camera(5)
