"""Reads a recording as steps: all of it that is closed, and what can be read of an open episode."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pamiq_lightning.recording import tables
from pamiq_lightning.recording.episode import unclosed_rows
from pamiq_lightning.recording.schema import (
    COLUMNS,
    DATA_PATH,
    EpisodeFiles,
    RecordingError,
    find_recording,
    numbers_of,
    read_plan,
)
from pamiq_lightning.recording.video import FilmReader


@dataclass(frozen=True)
class Episode:
    """One episode; `table` holds the rows of one that was never closed."""

    files: EpisodeFiles
    rows: int
    table: pa.Table | None = None


class RecordingReader:
    """The steps of a recording, numbered from the oldest that is there; frames can be read from
    anywhere.

    Args:
        path: folder of a recording, or of the run it lies in.

    Raises:
        RecordingError: it is no recording, is damaged, or has no steps.
    """

    def __init__(self, path: Path) -> None:
        self.folder = find_recording(path)
        self.spec = read_plan(self.folder)
        self.episodes = list(self._find())
        if not self.episodes:
            raise RecordingError(
                f"{self.folder} has no steps: the run ended before its first window was full"
            )
        self.starts: NDArray[np.int64] = np.cumsum([0, *(e.rows for e in self.episodes)])
        self._film: tuple[int, FilmReader] | None = None
        self._steps: tuple[int, dict[str, NDArray[Any]]] | None = None

    def __len__(self) -> int:
        return int(self.starts[-1])

    def close(self) -> None:
        """Let go of all files."""
        if self._film:
            self._film[1].close()
            self._film = None

    def _find(self) -> Iterator[Episode]:
        closed = list(numbers_of(self.folder, DATA_PATH))
        for number in closed:
            files = EpisodeFiles(self.folder, number)
            # Without its line it is not closed: its journal is still there.
            if not files.journal.is_file():
                yield Episode(files, _rows_in(files.data))
        for number in numbers_of(self.folder, DATA_PATH, ".arrow"):
            files = EpisodeFiles(self.folder, number)
            if files.meta.is_file():
                yield Episode(files, _rows_in(files.data))
            elif len(table := unclosed_rows(files, self.spec)):
                yield Episode(files, len(table), table)

    def column(self, key: str) -> NDArray[Any]:
        """Return one key of all steps, but not frames."""
        parts = []
        for episode in self.episodes:
            table = episode.table
            if table is None:
                table = tables.read_table(episode.files.data, [COLUMNS.get(key, key)])
            parts.append(tables.to_steps(self.spec, table, [key])[key])
        return np.concatenate(parts)

    def read(self, start: int, stop: int, without: Collection[str] = ()) -> dict[str, NDArray[Any]]:
        """Return steps start to stop - 1 as arrays of that many rows.

        Args:
            start: first step.
            stop: the one after the last.
            without: keys to leave out; frames take nearly all of the time.

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
                rows["frame"] = self._opened(number).read(here.start, here.stop)
            parts.append(rows)
        if len(parts) == 1:
            # Apart from the cache, which others read later.
            return {key: value.copy() for key, value in parts[0].items()}
        return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}

    def _tabular(self, number: int) -> dict[str, NDArray[Any]]:
        """Return all but the frames of one episode; the newest asked for is kept."""
        if self._steps is None or self._steps[0] != number:
            episode = self.episodes[number]
            table = episode.table
            if table is None:
                table = tables.read_table(episode.files.data)
            self._steps = number, tables.to_steps(self.spec, table)
        return self._steps[1]

    def _opened(self, number: int) -> FilmReader:
        """Return the film of one episode; the newest asked for stays open."""
        if self._film is None or self._film[0] != number:
            self.close()
            self._film = number, FilmReader(self.episodes[number].files.video, self.spec.fps)
        return self._film[1]


def _rows_in(path: Path) -> int:
    try:
        return int(pq.read_metadata(path).num_rows)
    except (OSError, pa.ArrowException) as error:
        raise RecordingError(f"{path} is damaged: {error}") from error
