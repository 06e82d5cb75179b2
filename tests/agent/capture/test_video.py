from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray

from agent.capture import video
from agent.capture.base import CaptureError
from agent.capture.video import Video
from tests.agent.osc.conftest import Clock


class File:
    """Ten frames at ten a second; the red of each is its number."""

    def __init__(self, path: str) -> None:
        self._next = 0
        self._frames = 10 if path.endswith(".avi") else 0

    def get(self, name: str) -> float:
        return 10.0 if self._frames else 0.0

    def set(self, name: str, value: float) -> None:
        assert name == "position"
        self._next = int(value)

    def grab(self) -> bool:
        self._next += 1
        return self._next <= self._frames

    def retrieve(self) -> tuple[bool, NDArray[np.uint8]]:
        image = np.zeros((6, 8, 3), np.uint8)
        image[..., 2] = self._next - 1
        return True, image

    def release(self) -> None:
        self._frames = 0


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    opencv = SimpleNamespace(VideoCapture=File, CAP_PROP_FPS="rate", CAP_PROP_POS_FRAMES="position")
    monkeypatch.setattr(video, "import_opencv", lambda: opencv)
    path = tmp_path / "walk.avi"
    path.write_bytes(b"any")
    return path


def test_video_plays_in_real_time_from_the_first_read(path: Path, clock: Clock) -> None:
    source = Video(4, path, clock=clock)
    frames = []
    for _ in range(4):
        frame = source.read()
        assert frame.shape == (3, 4, 4)
        frames.append(int(frame[0, 0, 0]))
        clock.now += 0.25
    assert frames == [0, 2, 5, 7]


def test_video_loops(path: Path, clock: Clock) -> None:
    source = Video(4, path, clock=clock)
    source.read()
    clock.now += 1.05
    assert source.read()[0].max() == 0
    clock.now += 0.31
    assert source.read()[0].max() == 3


def test_video_without_loop_ends(path: Path, clock: Clock) -> None:
    source = Video(4, path, loop=False, clock=clock)
    source.read()
    clock.now += 1.05
    with pytest.raises(CaptureError, match="over"):
        source.read()


def test_closed_video_raises(path: Path, clock: Clock) -> None:
    source = Video(4, path, clock=clock)
    source.read()
    source.close()
    source.close()
    with pytest.raises(CaptureError, match=r"over|closed"):
        source.read()


def test_error_names_a_missing_or_invalid_video(path: Path) -> None:
    with pytest.raises(CaptureError, match="There is no video"):
        Video(4, path.with_name("gone.avi"))
    text = path.with_name("notes.txt")
    text.write_text("no video")
    with pytest.raises(CaptureError, match="not a video that OpenCV can read"):
        Video(4, text)
