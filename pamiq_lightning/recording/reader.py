"""Reads the steps of a recording: closed episodes, and the readable part of an open one."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pamiq_lightning.recording import tables
from pamiq_lightning.recording.episode import unclosed_rows
from pamiq_lightning.recording.schema import (
    COLUMNS,
    DATA_PATH,
    EpisodeFiles,
    RecordingError,
    episode_numbers,
    find_recording,
    open_episodes,
    read_spec,
)
from pamiq_lightning.recording.video import VideoReader
from pamiq_lightning.step import last_actions


@dataclass(frozen=True)
class Episode:
    """One episode; `table` holds its rows if it was never closed."""

    files: EpisodeFiles
    rows: int
    table: pa.Table | None = None


class RecordingReader:
    """The steps of a recording, numbered from the oldest one stored, with random access.

    Args:
        path: folder of a recording, or of its run.

    Attributes:
        starts: (episodes + 1,) number of the first step of each episode, then of all steps.

    Raises:
        RecordingError: there is no recording, it is damaged, or it has no steps.
    """

    def __init__(self, path: Path) -> None:
        self.folder = find_recording(path)
        self.spec = read_spec(self.folder)
        self.episodes = list(self._find())
        if not self.episodes:
            raise RecordingError(
                f"{self.folder} has no steps: the run ended before its first rollout was full"
            )
        self.starts: NDArray[np.int64] = np.cumsum([0, *(e.rows for e in self.episodes)])
        self._video: tuple[int, VideoReader] | None = None
        self._steps: tuple[int, dict[str, NDArray[Any]]] | None = None

    def __len__(self) -> int:
        return int(self.starts[-1])

    def close(self) -> None:
        """Close all files."""
        if self._video:
            self._video[1].close()
            self._video = None

    def _find(self) -> Iterator[Episode]:
        closed = list(episode_numbers(self.folder, DATA_PATH))
        for number in closed:
            files = EpisodeFiles(self.folder, number)
            # An episode with a journal may lack its entry.
            if not files.journal.is_file():
                yield Episode(files, tables.count_rows(files.data))
        for number in open_episodes(self.folder):
            files = EpisodeFiles(self.folder, number)
            if files.meta.is_file():
                yield Episode(files, tables.count_rows(files.data))
            elif len(table := unclosed_rows(files, self.spec)):
                yield Episode(files, len(table), table)

    def column(self, key: str) -> NDArray[Any]:
        """Return one recorded key of all steps, any but `frame`."""
        return np.concatenate([self._rows(n, [key])[key] for n in range(len(self.episodes))])

    def read(self, start: int, stop: int, without: Collection[str] = ()) -> dict[str, NDArray[Any]]:
        """Return steps start to stop - 1 as arrays (stop - start, ...).

        Args:
            start: first step.
            stop: after the last step.
            without: keys to leave out; frames take nearly all of the time.

        Returns:
            Every recorded key, and `last_action`.

        Raises:
            RecordingError: a file is damaged.
        """
        parts = []
        first = int(np.searchsorted(self.starts, start, "right")) - 1
        for number in range(first, len(self.episodes)):
            offset = int(self.starts[number])
            if offset >= stop:
                break
            here = slice(max(start - offset, 0), min(stop - offset, self.episodes[number].rows))
            rows = {k: v[here] for k, v in self._tabular(number).items() if k not in without}
            if "frame" not in without:
                rows["frame"] = self._open(number).read(here.start, here.stop)
            parts.append(rows)
        if len(parts) == 1:
            # Copies, because these are slices of the cache.
            return {key: value.copy() for key, value in parts[0].items()}
        return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}

    def _tabular(self, number: int) -> dict[str, NDArray[Any]]:
        """Return all but the frames of one episode, with a cache of one episode."""
        if self._steps is None or self._steps[0] != number:
            steps = self._rows(number)
            steps["last_action"] = last_actions(steps)
            if number and not steps["is_first"][0]:
                # A long trajectory goes on in the next episode.
                before = self._rows(number - 1, ["index", "action"])
                if before["index"][-1] + 1 == steps["index"][0]:
                    steps["last_action"][0] = before["action"][-1]
            self._steps = number, steps
        return self._steps[1]

    def _rows(self, number: int, keys: list[str] | None = None) -> dict[str, NDArray[Any]]:
        """Return some recorded keys of one episode; default: all but the frames."""
        episode = self.episodes[number]
        table = episode.table
        if table is None:
            columns = keys and [COLUMNS.get(key, key) for key in keys]
            table = tables.read_table(episode.files.data, columns)
        return tables.to_steps(self.spec, table, keys)

    def _open(self, number: int) -> VideoReader:
        """Return the video of one episode, which stays open until the next one is read."""
        if self._video is None or self._video[0] != number:
            self.close()
            self._video = number, VideoReader(self.episodes[number].files.video, self.spec.fps)
        return self._video[1]
