"""One episode on disk: open while steps are appended, then closed; recovered after a kill."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import closing, suppress
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pamiq_lightning.recording import stats, tables
from pamiq_lightning.recording.journal import JournalWriter, read_journal
from pamiq_lightning.recording.schema import (
    CHUNKS_SIZE,
    FRAME_KEY,
    TASK,
    DatasetSpec,
    EpisodeFiles,
    RecordingError,
)
from pamiq_lightning.recording.stats import SAMPLE_EVERY, Stats
from pamiq_lightning.recording.video import VideoReader, VideoWriter
from pamiq_lightning.utils.atomic_io import sync_folder


class OpenEpisode:
    """Appends steps to the newest episode; after a kill it can be read and recovered.

    Args:
        files: of the episode.
        spec: of the recording.
        first_index: rows of the recording before this episode.
        crf: constant rate factor of the video.

    Raises:
        OSError: the disk refuses, here and in the methods.
    """

    def __init__(self, files: EpisodeFiles, spec: DatasetSpec, first_index: int, crf: int) -> None:
        self.files, self.rows = files, 0
        self._spec, self._first_index = spec, first_index
        self._batches: list[pa.RecordBatch] = []
        self._frames: list[NDArray[np.uint8]] = []
        self._journal = JournalWriter(files.journal, tables.schema(spec))
        try:
            self._video = VideoWriter(files.video, spec.fps, spec.frame_size, crf, spec.lossless)
        except OSError:
            self._journal.close()
            raise

    @property
    def bytes(self) -> int:
        """Size of its files."""
        return sum(path.stat().st_size for path in (self.files.journal, self.files.video))

    def append(self, steps: Mapping[str, NDArray[Any]]) -> None:
        """Append steps."""
        batch = tables.to_batch(
            self._spec, steps, self.files.number, self.rows, self._first_index + self.rows
        )
        self._journal.write(batch)
        frames = steps["frame"]
        self._video.write(frames)
        self._frames.append(frames[-self.rows % SAMPLE_EVERY :: SAMPLE_EVERY].copy())
        self._batches.append(batch)
        self.rows += len(batch)

    def close(self) -> Stats:
        """Close the episode; return its statistics."""
        self._video.close()
        self._journal.close()
        table = pa.Table.from_batches(self._batches)
        return close_episode(self.files, self._spec, table, np.concatenate(self._frames))

    def abandon(self) -> None:
        """Close all files as they are, for a later recovery."""
        self._video.abandon()
        self._journal.close()


def close_episode(
    files: EpisodeFiles, spec: DatasetSpec, table: pa.Table, frames: NDArray[np.uint8]
) -> Stats:
    """Write an episode's rows, then its entry in LeRobot's table of episodes, which closes it.

    Args:
        files: of the episode; the video is complete.
        spec: of the recording.
        table: the rows.
        frames: every `SAMPLE_EVERY`th frame (n, 3, H, W).

    Raises:
        OSError: the disk refuses.
    """
    # Rows and video must be on the disk before the entry that closes the episode.
    files.staging.mkdir(exist_ok=True)
    tables.write_table(files.data, table, files.staging)
    sync_folder(files.video.parent)
    found = stats.compute(table, frames)
    chunk, file = divmod(files.number, CHUNKS_SIZE)
    first_index = table.column("index")[0].as_py()
    entry: dict[str, Any] = {
        "episode_index": files.number,
        "tasks": [TASK],
        "length": len(table),
        "data/chunk_index": chunk,
        "data/file_index": file,
        "dataset_from_index": first_index,
        "dataset_to_index": first_index + len(table),
        f"videos/{FRAME_KEY}/chunk_index": chunk,
        f"videos/{FRAME_KEY}/file_index": file,
        f"videos/{FRAME_KEY}/from_timestamp": 0.0,
        f"videos/{FRAME_KEY}/to_timestamp": len(table) / spec.fps,
        "meta/episodes/chunk_index": chunk,
        "meta/episodes/file_index": file,
    }
    for name, statistics in found.items():
        for what, value in statistics.items():
            entry[f"stats/{name}/{what}"] = value.tolist()
    tables.write_table(files.meta, pa.Table.from_pylist([entry]), files.staging)
    files.journal.unlink(missing_ok=True)
    return found


def stats_of(entry: Mapping[str, Any]) -> Stats:
    """Return the statistics in an episode's entry."""
    found: Stats = {}
    for column, value in entry.items():
        if column.startswith("stats/"):
            _, name, what = column.split("/")
            found.setdefault(name, {})[what] = np.array(value)
    return found


def unclosed_rows(files: EpisodeFiles, spec: DatasetSpec) -> pa.Table:
    """Return the rows of a killed writer's episode that have a frame; possibly none."""
    table = read_journal(files.journal, tables.schema(spec))
    count = 0
    with suppress(RecordingError), closing(VideoReader(files.video, spec.fps)) as video:
        count = video.count()
    return table.slice(0, min(len(table), count))


def recover(files: EpisodeFiles, spec: DatasetSpec) -> Stats | None:
    """Close a killed writer's episode with the rows that can be read.

    Returns:
        Its statistics, or None if no row can be read and its files were removed.

    Raises:
        OSError: the disk refuses.
    """
    table = read_journal(files.journal, tables.schema(spec))
    frames = np.empty((0, 3, 0, 0), np.uint8)
    with suppress(RecordingError), closing(VideoReader(files.video, spec.fps)) as video:
        count, frames = video.check(len(table), SAMPLE_EVERY)
        table = table.slice(0, count)
    if not len(frames):
        for path in (files.video, files.journal):
            path.unlink(missing_ok=True)
        return None
    with files.video.open("rb") as file:
        os.fsync(file.fileno())
    return close_episode(files, spec, table, frames)
