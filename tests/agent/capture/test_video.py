from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agent.capture.base import CaptureError
from agent.capture.video import Video
from tests.agent.osc.conftest import Clock
from tests.films import UNEVEN_MS, cut, noise, shade, turn, write_film


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Ten frames at ten a second."""
    return write_film(
        tmp_path / "walk.mp4", [shade(n) for n in range(10)], range(0, 1000, 100), claimed_rate=10
    )


Play = Callable[..., Video]


@pytest.fixture
def play(clock: Clock) -> Iterator[Play]:
    """Opens videos, and closes them at the end."""
    with ExitStack() as end:

        def opened(size: int, path: Path, **settings: Any) -> Video:
            video = Video(size, path, clock=clock, **settings)
            end.callback(video.close)
            return video

        yield opened


def shown(frame: np.ndarray) -> int:
    """Return the number of a frame of `shade`."""
    return round((float(frame.mean()) - 20) / 5)


def test_video_plays_in_real_time_from_the_first_read(path: Path, clock: Clock, play: Play) -> None:
    source = play(4, path)
    frames = []
    for _ in range(4):
        frame = source.read()
        assert frame.shape == (3, 4, 4)
        frames.append(shown(frame))
        clock.now += 0.25
    assert frames == [0, 2, 5, 7]


@pytest.mark.parametrize(("suffix", "rate"), [(".mp4", 20), (".mkv", 20), (".webm", 1000)])
def test_frames_are_shown_at_their_times_whatever_rate_the_file_claims(
    tmp_path: Path, clock: Clock, play: Play, suffix: str, rate: int
) -> None:
    frames = [shade(n) for n in range(40)]
    source = play(4, write_film(tmp_path / f"uneven{suffix}", frames, UNEVEN_MS, rate))
    begin = clock.now
    found = {}
    for second in (0.0, 0.52, 0.97, 1.4, 5.1, 9.3):
        clock.now = begin + second
        found[second] = shown(source.read())
    assert found == {0.0: 0, 0.52: 10, 0.97: 19, 1.4: 20, 5.1: 29, 9.3: 38}


def test_a_turned_video_is_shown_upright(tmp_path: Path, play: Play) -> None:
    picture = np.zeros((64, 64, 3), np.uint8)
    picture[:32] = 255
    path = turn(write_film(tmp_path / "phone.mp4", [picture] * 3, (0, 100, 200)), 90)
    frame = play(64, path).read()
    assert frame[:, :, 40:].min() > 200 and frame[:, :, :24].max() < 50


def test_video_loops(path: Path, clock: Clock, play: Play) -> None:
    source = play(4, path)
    source.read()
    clock.now += 1.05
    assert shown(source.read()) == 0
    clock.now += 0.31
    assert shown(source.read()) == 3


def test_video_without_loop_ends(path: Path, clock: Clock, play: Play) -> None:
    source = play(4, path, loop=False)
    source.read()
    clock.now += 0.95
    assert shown(source.read()) == 9
    clock.now += 0.1
    with pytest.raises(CaptureError, match="over"):
        source.read()


def test_a_video_that_is_cut_off_is_reported_once(
    tmp_path: Path, clock: Clock, play: Play, capsys: pytest.CaptureFixture[str]
) -> None:
    path = cut(write_film(tmp_path / "half.mkv", noise(60), range(0, 3000, 50)))
    source = play(4, path)
    for _ in range(10):
        source.read()
        clock.now += 0.5
    (line,) = capsys.readouterr().err.splitlines()
    assert "half.mkv is cut off: it lacks" in line


def test_closed_video_raises(path: Path, play: Play) -> None:
    source = play(4, path)
    source.read()
    source.close()
    source.close()
    with pytest.raises(CaptureError, match="closed"):
        source.read()


def test_error_names_a_missing_or_invalid_video(path: Path) -> None:
    with pytest.raises(CaptureError, match="There is no video"):
        Video(4, path.with_name("gone.avi"))
    text = path.with_name("notes.txt")
    text.write_text("no video")
    with pytest.raises(CaptureError, match=r"notes\.txt is not a video, or is cut off"):
        Video(4, text)


def test_a_file_name_is_never_taken_for_a_url(
    path: Path, play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.rename(path.with_name("exp:1#%d.mp4"))
    monkeypatch.chdir(path.parent)
    assert shown(play(4, Path("exp:1#%d.mp4")).read()) == 0
