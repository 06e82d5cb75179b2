"""Recordings after the writer is killed, the disk is full, or files are damaged."""

from __future__ import annotations

import errno
import io
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pamiq_lightning.recording import writer
from pamiq_lightning.recording.journal import read_journal
from pamiq_lightning.recording.reader import RecordingReader
from pamiq_lightning.recording.schema import EpisodeFiles, RecordingError
from pamiq_lightning.recording.tables import schema
from pamiq_lightning.recording.writer import RecordingWriter
from tests.synthetic import DATASET_SPEC, arrays, record

WRITE_UNTIL_KILLED = """
import itertools, pickle, sys
from pathlib import Path
from pamiq_lightning.recording import writer
writer.EPISODE_STEPS = 160
rollouts, spec = pickle.loads(Path(sys.argv[2]).read_bytes())
writing = writer.RecordingWriter(Path(sys.argv[1]), spec, crf=20)
for steps in rollouts:
    writing.write(steps)
    print("written", flush=True)
sys.stdin.read()
"""
"""Writes rollouts, prints a line after each, and waits to be killed."""


def killed(folder: Path, count: int, tmp_path: Path) -> Path:
    """Write `count` rollouts of 16 steps in a process that is then killed."""
    rollouts = tmp_path / "rollouts"
    rollouts.write_bytes(pickle.dumps(([arrays(16, 16 * n) for n in range(count)], DATASET_SPEC)))
    with subprocess.Popen(
        [sys.executable, "-c", WRITE_UNTIL_KILLED, str(folder), str(rollouts)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        for _ in range(count):
            assert process.stdout.readline() == "written\n"
        process.kill()
    return folder


def assert_as_written(reader: RecordingReader) -> None:
    """Assert that every step that can be read is as it was written, from the first on."""
    rows = reader.read(0, len(reader))
    np.testing.assert_array_equal(rows["index"], np.arange(len(reader)))
    written = [arrays(16, start) for start in range(0, len(reader), 16)]
    for key, values in rows.items():
        whole = np.concatenate([steps[key] for steps in written])[: len(reader)]
        np.testing.assert_array_equal(values, whole, key)


def test_a_killed_writer_leaves_closed_episodes_and_most_of_the_open_one(tmp_path: Path) -> None:
    folder = killed(tmp_path / "recording", 24, tmp_path)
    reader = RecordingReader(folder)
    assert [episode.table is None for episode in reader.episodes] == [True, True, False]
    assert [episode.rows for episode in reader.episodes][:2] == [160, 160]
    # The open episode lacks its last fragment and the frames that the encoder held.
    assert reader.episodes[2].rows >= 50 - 1
    assert_as_written(reader)
    # A later writer closes it and continues.
    before = len(reader)
    record(folder, [arrays(16, 800)])
    after = RecordingReader(folder)
    assert all(episode.table is None for episode in after.episodes)
    assert len(after) == before + 16
    np.testing.assert_array_equal(after.read(0, before)["frame"], reader.read(0, before)["frame"])
    assert not list(folder.rglob("*.arrow"))


@pytest.mark.parametrize("repairable", [True, False])
def test_the_journal_of_an_earlier_version_is_read_and_recovered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, repairable: bool
) -> None:
    """It lies beside the data file that it becomes, where other programs would read it."""
    folder = killed(tmp_path / "recording", 24, tmp_path)
    files = EpisodeFiles(folder, 2)
    files.journal.rename(files.data.with_suffix(".arrow"))
    before = len(RecordingReader(folder))
    assert before > 320
    if not repairable:
        monkeypatch.setattr(writer, "recover", fail_to_recover)
    record(folder, [arrays(16, 800)])
    assert len(RecordingReader(folder)) == (before if repairable else 320) + 16
    assert {path.suffix for path in files.data.parent.iterdir()} == {".parquet"}


def fail_to_recover(*arguments: Any) -> None:
    raise RecordingError("it is beyond repair")


def test_an_open_episode_is_read_wherever_it_is_cut_off(tmp_path: Path) -> None:
    folder = killed(tmp_path / "recording", 24, tmp_path)
    files = EpisodeFiles(folder, 2)
    journal, video = files.journal.read_bytes(), files.video.read_bytes()
    found = set()
    random = np.random.default_rng(0)
    for share in (0.0, 0.001, *random.random(12), 1.0):
        files.journal.write_bytes(journal[: int(share * len(journal))])
        files.video.write_bytes(video)
        found.add(len(RecordingReader(folder)))
        assert_as_written(RecordingReader(folder))
        files.journal.write_bytes(journal)
        files.video.write_bytes(video[: int(share * len(video))])
        found.add(len(RecordingReader(folder)))
        assert_as_written(RecordingReader(folder))
    assert min(found) == 320 and max(found) > 320
    files.video.unlink()
    assert len(RecordingReader(folder)) == 320
    # No row of it can be read: the next episode takes its number.
    record(folder, [arrays(16, 320)])
    assert_as_written(RecordingReader(folder))
    assert [episode.files.number for episode in RecordingReader(folder).episodes] == [0, 1, 2]


@pytest.mark.parametrize("beyond", [0, 4, 40])
def test_a_video_without_a_whole_fragment_is_left_out(tmp_path: Path, beyond: int) -> None:
    folder = killed(tmp_path / "recording", 24, tmp_path)
    files = EpisodeFiles(folder, 2)
    video = files.video.read_bytes()
    # The length of a fragment is in the four bytes before its name.
    files.video.write_bytes(video[: video.index(b"moof") - 4 + beyond])
    assert len(RecordingReader(folder)) == 320
    record(folder, [arrays(16, 320)])
    assert_as_written(RecordingReader(folder))


def test_partial_writes_are_continued_to_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = Path.open

    class Halving(io.FileIO):
        """Writes half of what it is given, like a disk that is almost full."""

        def write(self, data: Any) -> int:
            return super().write(memoryview(data).cast("B")[: max(1, len(data) // 2)])

    def halving_open(path: Path, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        return Halving(path, "xb") if mode == "xb" else opened(path, mode, *args, **kwargs)

    monkeypatch.setattr(Path, "open", halving_open)
    record(tmp_path, [arrays(16, 16 * n) for n in range(8)])
    assert_as_written(RecordingReader(tmp_path))
    assert len(RecordingReader(tmp_path)) == 128
    folder = tmp_path / "open"
    writing = RecordingWriter(folder, DATASET_SPEC, crf=20)
    writing.write(arrays(16))
    journal = read_journal(EpisodeFiles(folder, 0).journal, schema(DATASET_SPEC))
    assert len(journal) == 16
    writing.close()


@pytest.mark.parametrize("part", ["head", "middle"])
def test_a_damaged_open_episode_does_not_prevent_later_ones(tmp_path: Path, part: str) -> None:
    folder = killed(tmp_path / "recording", 24, tmp_path)
    files = EpisodeFiles(folder, 2)
    video = bytearray(files.video.read_bytes())
    # Zeros, like data that was not synced before a power cut.
    start = 300 if part == "head" else video.index(b"mdat") + 100
    video[start : start + 200] = bytes(200)
    files.video.write_bytes(video)
    record(folder, [arrays(16, 384)])
    reader = RecordingReader(folder)
    index = reader.read(0, len(reader))["index"]
    assert set(range(320)) | set(range(384, 400)) <= set(index.tolist())
    assert not list(folder.rglob("*.arrow"))


def test_an_episode_that_cannot_be_recovered_is_set_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = killed(tmp_path / "recording", 24, tmp_path)

    with monkeypatch.context() as patch:
        patch.setattr(writer, "recover", fail_to_recover)
        record(folder, [arrays(16, 384)])
    assert "set aside: it is beyond repair" in capsys.readouterr().err
    reader = RecordingReader(folder)
    assert reader.read(0, len(reader))["index"].tolist() == [*range(320), *range(384, 400)]
    names = sorted(path.name for path in folder.rglob("*.damaged"))
    assert names == ["file-002.arrow.damaged", "file-002.mp4.damaged"]


def test_a_temporary_read_error_does_not_end_the_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(tmp_path, [arrays(16)])
    writing = RecordingWriter(tmp_path, DATASET_SPEC, crf=20)
    read = Path.read_text

    def fail(path: Path, *more: Any, **named: Any) -> str:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_text", fail)
        with pytest.raises(OSError, match="Input/output error") as failure:
            writing.write(arrays(16, 16))
        assert failure.value.errno == errno.EIO
    assert Path.read_text is read
    writing.write(arrays(16, 32))
    writing.close()
    recorded = [*range(16), *range(32, 48)]
    assert RecordingReader(tmp_path).column("index").tolist() == recorded


def test_a_recording_without_steps_is_refused(tmp_path: Path) -> None:
    record(tmp_path, [arrays(0)])
    with pytest.raises(RecordingError, match="has no steps"):
        RecordingReader(tmp_path)


class Disk:
    """Refuses all writes after `room` more, until `room` is raised again."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.room = 10**9
        opened = Path.open
        disk = self

        class Refusing:
            def __init__(self, file: Any) -> None:
                self._file = file

            def __getattr__(self, name: str) -> Any:
                return getattr(self._file, name)

            def __enter__(self) -> Refusing:
                return self

            def __exit__(self, *error: object) -> None:
                self._file.close()

            def write(self, data: Any) -> Any:
                disk.room -= 1
                if disk.room < 0:
                    raise OSError(errno.ENOSPC, "No space left on device")
                return self._file.write(data)

        def refusing_open(path: Path, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
            file = opened(path, mode, *args, **kwargs)
            return Refusing(file) if mode in ("wb", "w", "xb") else file

        monkeypatch.setattr(Path, "open", refusing_open)


def test_a_full_disk_loses_only_the_steps_of_that_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full after each of several numbers of writes."""
    monkeypatch.setattr(writer, "EPISODE_STEPS", 64)
    disk = Disk(monkeypatch)
    refused_at = set()
    for room in (0, 1, 2, 3, 5, 8, 13, 21, 34, 55):
        writing = RecordingWriter(tmp_path / str(room), DATASET_SPEC, crf=20)
        lost = []
        for number in range(14):
            disk.room = {2: room, 8: 10**9}.get(number, disk.room)
            try:
                writing.write(arrays(16, 16 * number))
            except OSError as error:
                assert error.errno == errno.ENOSPC
                lost.append(number)
        writing.close()
        refused_at.add(lost[0] if lost else None)
        reader = RecordingReader(tmp_path / str(room))
        assert all(episode.table is None for episode in reader.episodes)
        rows = reader.read(0, len(reader))
        # With room again, all is recorded.
        assert not lost or max(lost) < 8
        assert {*range(128, 224)} <= set(rows["index"].tolist())
        if lost:
            # An episode that was broken off may lack its last frames.
            assert set(rows["index"].tolist()) <= set(range(224)) - set(
                range(16 * lost[0] + 16, 128)
            )
        for key in ("frame", "value"):
            written = np.concatenate([arrays(16, 16 * n)[key] for n in range(14)])
            np.testing.assert_array_equal(rows[key], written[rows["index"]])
    assert len(refused_at) > 2
