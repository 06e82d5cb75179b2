from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pygame
import pytest

from pamiq_lightning.recording.reader import RecordingReader
from tests.pamiq_lightning.offline.test_dataset import checkpoint
from tests.synthetic import DATASET_SPEC, arrays, record
from tools.player.__main__ import main
from tools.player.sheet import HEIGHT, WIDTH, Sheet


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run of 48 steps, the last of them after a gap, with the checkpoints it left."""
    (tmp_path / "checkpoints").mkdir()
    for role in ("encoder", "dynamics", "decoder"):
        checkpoint(tmp_path / "checkpoints", role)
    record(tmp_path / "recording", [arrays(16, start) for start in (0, 16, 40)])
    return tmp_path


def frames(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as film:
        return [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]


def has_predicted_frame(sheet: np.ndarray) -> bool:
    """Return whether a frame, darker than the background, is drawn on the right."""
    return bool(sheet[120:280, WIDTH // 2 + 50 : WIDTH - 50].mean() < 200)


def test_video_has_every_step_and_its_predicted_frame(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(run), "--mp4", str(run / "all.mp4")]) == 0
    sheets = frames(run / "all.mp4")
    assert len(sheets) == 48 and sheets[0].shape == (HEIGHT, WIDTH, 3)
    drawn = [has_predicted_frame(sheet) for sheet in sheets]
    # No transition leads to the first step, nor across the gap.
    assert drawn == [number not in (0, 32) for number in range(48)]
    (run / "checkpoints" / "decoder.ckpt").unlink()
    part = ["--start", "1", "--seconds", "2", "--mp4", str(run / "part.mp4")]
    assert main([str(run), *part]) == 0
    assert "has no decoder" in capsys.readouterr().err
    sheets = frames(run / "part.mp4")
    assert len(sheets) == 20
    assert not any(has_predicted_frame(sheet) for sheet in sheets)


def test_frames_alone_are_exported_as_every_player_shows_them(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(run)
    assert main([".", "--frames-only", "--mp4", "exp:1#2.mp4"]) == 0
    with (run / "exp:1#2.mp4").open("rb") as file, av.open(file) as film:
        codec = film.streams.video[0].codec_context
        assert (codec.name, codec.pix_fmt, codec.profile) == ("h264", "yuv420p", "High")
        assert film.streams.video[0].average_rate == 10
        exported = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
    recorded = RecordingReader(run).read(0, 48)["frame"]
    assert len(exported) == 48
    for frame, image in zip(recorded, exported, strict=True):
        # Colours have half the resolution.
        assert np.abs(frame.mean(axis=(1, 2)) - image.mean(axis=(0, 1))).max() < 12


def test_a_film_that_cannot_be_written_is_one_line(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(run), "--frames-only", "--mp4", str(run / "nowhere" / "a.mp4")]) == 1
    assert "No such file or directory" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([str(run), "--frames-only"])
    assert "needs --mp4" in capsys.readouterr().err


def test_unplayable_recording_is_one_line(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(run), "--start", "5", "--mp4", str(run / "none.mp4")]) == 1
    assert "has 4.8 s" in capsys.readouterr().err
    assert main([str(run / "checkpoints")]) == 1
    assert "is not a recording" in capsys.readouterr().err


def test_window_plays_jumps_and_ends(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    keys: Iterator[int | None] = iter(
        [
            None,
            None,
            pygame.K_SPACE,
            None,
            pygame.K_RIGHT,
            pygame.K_LEFT,
            pygame.K_UP,
            pygame.K_ESCAPE,
        ]
    )
    pressed = (SimpleNamespace(type=pygame.KEYDOWN, key=key) if key else None for key in keys)
    monkeypatch.setattr(pygame.event, "get", lambda: [e for e in [next(pressed)] if e])
    rates: list[float] = []
    monkeypatch.setattr(pygame.time, "Clock", lambda: SimpleNamespace(tick=rates.append))
    shown: list[int] = []
    draw = Sheet.draw

    def recorded(self: Sheet, at: int, *rest: object) -> object:
        shown.append(at)
        return draw(self, at, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Sheet, "draw", recorded)
    assert main([str(run)]) == 0
    # Two steps, then a pause; ten seconds are beyond either end.
    assert shown == [0, 1, 2, 2, 47, 0, 0]
    assert rates == [10.0] * 6 + [20.0]


def test_curve_without_finite_values_is_drawn() -> None:
    curves = {name: np.full(3, np.nan, np.float32) for name in ("reward", "value")}
    step = {key: values[0] for key, values in arrays(1).items()}
    assert Sheet(DATASET_SPEC, curves).draw(2, step, None, "caption").size == (WIDTH, HEIGHT)
