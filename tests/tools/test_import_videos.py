from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from pamiq_lightning.recording.reader import RecordingReader
from pamiq_lightning.recording.schema import recorder_lock
from pamiq_lightning.recording.writer import RecordingWriter
from pamiq_lightning.utils.file_lock import FileLock
from tests.films import UNEVEN_MS, cut, noise, shade, turn, write_film
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


def shown(out: Path) -> list[int]:
    """Return the number of the frame of `shade` that each step of a recording shows."""
    reader = RecordingReader(out)
    brightness = reader.read(0, len(reader))["frame"].mean(axis=(1, 2, 3))
    return [round((float(level) - 20) / 5) for level in brightness]


def newest_at(times: np.ndarray, steps: int) -> list[int]:
    """Return the newest frame at each step of a tenth of a second."""
    return (np.searchsorted(times, np.arange(steps) / 10 + 1e-6, "right") - 1).tolist()


@pytest.mark.parametrize(("suffix", "rate"), [(".mp4", 20), (".mkv", 20), (".webm", 1000)])
def test_each_step_shows_the_newest_frame_of_its_time(
    tmp_path: Path, suffix: str, rate: int
) -> None:
    """The claimed rate is wrong: frames come unevenly, as those of phones and browsers."""
    frames = [shade(n) for n in range(40)]
    video = write_film(tmp_path / f"uneven{suffix}", frames, UNEVEN_MS, rate)
    assert main([str(video), "--out", str(tmp_path / "out"), "--size", "24"]) == 0
    found = shown(tmp_path / "out")
    assert 95 <= len(found) <= 101
    assert found == newest_at(np.array(UNEVEN_MS) / 1000, len(found))


def test_timestamps_of_the_actions_are_the_times_of_the_frames(tmp_path: Path) -> None:
    """The originals' recorder writes every frame as if it came at an even rate."""
    frames = [shade(n) for n in range(40)]
    video = write_film(tmp_path / "even.mp4", frames, range(0, 4000, 100), 10)
    actions(tmp_path / "even.csv", [[n % 3, 0, 0, 0, 0] for n in range(40)])
    lines = (tmp_path / "even.csv").read_text().splitlines()
    for number, time in enumerate(UNEVEN_MS):
        lines[number + 1] = f"{1.7e9 + time / 1000:.5f}," + lines[number + 1].partition(",")[2]
    (tmp_path / "even.csv").write_text("\n".join(lines) + "\n")
    assert main([str(video), "--out", str(tmp_path / "out"), "--size", "24"]) == 0
    found = shown(tmp_path / "out")
    assert found == newest_at(np.array(UNEVEN_MS) / 1000, 97)
    taken = RecordingReader(tmp_path / "out").column("action")[:, 0]
    assert taken.tolist() == [number % 3 for number in found]


@pytest.mark.parametrize(
    ("degrees", "white"), [(90, np.s_[:, :, 15:]), (180, np.s_[:, 15:]), (270, np.s_[:, :, :9])]
)
def test_turned_videos_are_imported_upright(
    tmp_path: Path, degrees: int, white: tuple[slice, ...]
) -> None:
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:24] = 255
    video = turn(write_film(tmp_path / "phone.mp4", [picture] * 4, range(0, 400, 100)), degrees)
    assert main([str(video), "--out", str(tmp_path / "out"), "--size", "24"]) == 0
    frame = RecordingReader(tmp_path / "out").read(0, 1)["frame"][0]
    assert frame[white].min() > 200
    assert frame.mean() == pytest.approx(127, abs=12)


def test_bad_videos_are_skipped_and_the_rest_is_imported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    times = range(0, 3000, 50)
    for name in ("a.mp4", "b.mp4", "c.mkv", "d.mp4"):
        write_film(tmp_path / name, noise(60), times)
    cut(tmp_path / "b.mp4")
    cut(tmp_path / "c.mkv")
    (tmp_path / "._a.mp4").write_bytes(b"\0\5\x16\7Mac OS X")
    (tmp_path / "d.csv").write_text("not,actions\n1,2\n")
    out = tmp_path / "out"
    assert main([str(tmp_path), "--out", str(out), "--size", "24"]) == 0
    said = capsys.readouterr()
    for name in ("._a.mp4", "b.mp4", "d.csv"):
        assert f"skipped: {tmp_path / name}" in said.err
    assert "c.mkv is cut off: it lacks" in said.err
    last = said.out.splitlines()[-1]
    assert last == "2 of 5 videos are imported; 3 skipped; 1 imported with a fault"
    assert np.diff(np.flatnonzero(RecordingReader(out).column("is_first"))).tolist() == [30]
    assert len(RecordingReader(out)) in range(40, 50)


def test_actions_that_cannot_be_read_skip_their_video_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a", "b"):
        film(tmp_path / f"{name}.mp4", 10, 10)
        actions(tmp_path / f"{name}.csv", [[0] * 5] * 10)
    opened = Path.open

    def refuse(path: Path, *given: Any, **named: Any) -> Any:
        if path.name == "a.csv":
            raise PermissionError(13, "Permission denied")
        return opened(path, *given, **named)

    monkeypatch.setattr(Path, "open", refuse)
    assert main([str(tmp_path), "--out", str(tmp_path / "out"), "--size", "24"]) == 0
    assert "a.csv: cannot be read (Permission denied)" in capsys.readouterr().err
    assert len(RecordingReader(tmp_path / "out")) == 10


def test_an_import_that_ends_early_leaves_nothing_and_can_be_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    video = film(tmp_path / "v.mp4", 10, 10)
    out = tmp_path / "new" / "out"
    wanted = [str(video), "--out", str(out), "--size", "24"]

    def interrupt(*given: object) -> None:
        raise KeyboardInterrupt

    def refuse(*given: object) -> None:
        raise OSError(28, "No space left on device")

    for fault, code in ((interrupt, 130), (refuse, 1)):
        with monkeypatch.context() as patch:
            patch.setattr(RecordingWriter, "write", fault)
            assert main(wanted) == code
        assert not list(out.parent.iterdir())
    assert "No space left" in capsys.readouterr().err
    # What a killed import left.
    part = out.with_name("out.part")
    (part / "data" / "chunk-000").mkdir(parents=True)
    (part / "data" / "chunk-000" / "file-000.parquet").write_bytes(b"half")
    assert main(wanted) == 0
    assert len(RecordingReader(out)) == 10
    assert [path.name for path in out.parent.iterdir()] == ["out"]


def test_two_imports_never_write_one_recording(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    part = tmp_path / "out.part"
    part.mkdir()
    lock = FileLock(recorder_lock(part))
    lock.take()
    video = film(tmp_path / "v.mp4", 10, 10)
    assert main([str(video), "--out", str(tmp_path / "out")]) == 1
    expected = f"error: {tmp_path / 'out'}: process {os.getpid()} is importing into it"
    assert expected in capsys.readouterr().err.splitlines()
    lock.release()


def test_names_are_never_taken_for_urls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = Path("exp:1 #2%20")
    folder.mkdir()
    film(tmp_path / folder / "v:1.mp4", 10, 10)
    assert main([f"{folder}/v:1.mp4", "--out", f"{folder}/out", "--size", "24"]) == 0
    reader = RecordingReader(folder / "out")
    assert len(reader.read(0, len(reader))["frame"]) == 10


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("a,b\n1,2\n", "lacks the columns"),
        (",".join(ACTION_COLUMNS) + "\n0,0,x,0,0\n", "line 2: invalid literal"),
        (",".join(ACTION_COLUMNS) + "\n0,0,0,0,0\n0,3,0,0,0\n", "line 3: [0, 3, 0, 0, 0]"),
        ("Timestamp," + ",".join(ACTION_COLUMNS) + "\n2,0,0,0,0,0\n1,0,0,0,0,0\n", "line 3: Time"),
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
