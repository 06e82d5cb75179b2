from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from pamiq_lightning.recording.reader import RecordingReader
from tools.import_videos import ACTION_COLUMNS, main


def film(path: Path, frames: int, rate: int, width: int = 64, height: int = 48) -> Path:
    """Write a video whose frames grow brighter, its left and right edges white."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate, options={"crf": "5"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv444p"
        for number in range(frames):
            picture = np.full((height, width, 3), 2 * number + 20, np.uint8)
            picture[:, :8] = picture[:, -8:] = 255
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def actions(path: Path, rows: list[list[int]]) -> None:
    lines = [",".join(["Timestamp", *ACTION_COLUMNS])]
    lines += [f"{0.1 * n:.5f}," + ",".join(map(str, row)) for n, row in enumerate(rows)]
    path.write_text("\n".join(lines) + "\n")


def test_videos_and_action_logs_become_steps(tmp_path: Path) -> None:
    film(tmp_path / "output_2024-01-01_00-00-00.mp4", 40, 10)
    taken = [[n % 3, (n + 1) % 3, n % 3, n % 2, 0] for n in range(39)]
    actions(tmp_path / "action_log_2024-01-01_00-00-00.csv", taken)
    film(tmp_path / "b.mp4", 90, 30)
    out = tmp_path / "recording"
    assert main([str(tmp_path), "--out", str(out), "--size", "24"]) == 0
    reader = RecordingReader(out)
    steps = reader.read(0, len(reader))
    # By name: b.mp4 at a third of its frames, then the other up to its last action.
    assert steps["index"].tolist() == [*range(30), *range(31, 70)]
    assert np.flatnonzero(steps["is_first"]).tolist() == [0, 30]
    assert steps["valid"].all()
    np.testing.assert_array_equal(steps["action"][30:], taken)
    assert not steps["action"][:30].any()
    brightness = steps["frame"].mean(axis=(1, 2, 3))
    # The white edges lie outside the centre square.
    np.testing.assert_allclose(brightness[:30], 2 * np.arange(0, 90, 3) + 20, atol=3)
    np.testing.assert_allclose(brightness[30:], 2 * np.arange(39) + 20, atol=3)


def test_frames_of_a_slow_video_are_repeated(tmp_path: Path) -> None:
    video = film(tmp_path / "slow.mp4", 6, 4)
    assert main([str(video), "--out", str(tmp_path / "out"), "--size", "24"]) == 0
    reader = RecordingReader(tmp_path / "out")
    assert len(reader) == 15
    frames = reader.read(0, 15)["frame"].mean(axis=(1, 2, 3))
    np.testing.assert_allclose(frames, 2 * (np.arange(15) * 4 // 10) + 20, atol=1)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("a,b\n1,2\n", "lacks the columns"),
        (",".join(ACTION_COLUMNS) + "\n0,0,x,0,0\n", "line 2: invalid literal"),
        (",".join(ACTION_COLUMNS) + "\n0,0,0,0,0\n0,3,0,0,0\n", "line 3: [0, 3, 0, 0, 0]"),
    ],
)
def test_wrong_actions_are_reported(
    tmp_path: Path, text: str, error: str, capsys: pytest.CaptureFixture[str]
) -> None:
    film(tmp_path / "v.mp4", 3, 10)
    (tmp_path / "v.csv").write_text(text)
    assert main([str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    assert error in capsys.readouterr().err


def test_files_without_video_are_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    assert "there is no video" in capsys.readouterr().err
    (tmp_path / "v.mp4").write_bytes(b"no video")
    assert main([str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    assert "v.mp4" in capsys.readouterr().err
    assert main([str(tmp_path), "--out", str(tmp_path)]) == 1
    assert "exists already" in capsys.readouterr().err
