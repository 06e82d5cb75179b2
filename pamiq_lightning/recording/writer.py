"""Writes a recording, episode by episode, within a size limit."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pamiq_lightning.recording import stats, tables
from pamiq_lightning.recording.episode import OpenEpisode, recover, stats_of
from pamiq_lightning.recording.schema import (
    DATA_PATH,
    DATASET_SPEC,
    EPISODE_STEPS,
    EPISODES_PATH,
    INFO,
    OPEN_FOLDER,
    STATS,
    TASKS,
    VIDEO_PATH,
    DatasetSpec,
    EpisodeFiles,
    RecordingError,
    check_spec,
    episode_numbers,
    open_episodes,
    write_json,
    write_spec,
)
from pamiq_lightning.recording.stats import Stats
from pamiq_lightning.utils.console import print_error

DAMAGED = ".damaged"
"""Suffix of files that cannot be recovered."""


class RecordingWriter:
    """Appends steps to a new or an existing recording.

    A new episode begins at every `is_first`, at every jump of `index`, and after `EPISODE_STEPS`.
    An episode that a killed writer or a full disk left open is recovered first.

    Args:
        folder: of the recording.
        spec: of the recording.
        crf: constant rate factor of the video.
        max_bytes: size beyond which the oldest closed episodes are removed. An episode is closed
            early where it takes a quarter of that, so that it can be removed in its turn.

    Attributes:
        removed: episodes removed by this writer.
    """

    def __init__(
        self, folder: Path, spec: DatasetSpec, crf: int, max_bytes: float | None = None
    ) -> None:
        self.folder, self.spec, self.removed = folder, spec, 0
        self._crf, self._max_bytes = crf, max_bytes
        self._ready = False
        self._open: OpenEpisode | None = None
        self._last_tick = -1
        # Of the closed episodes: the next number, all rows, the oldest that was not removed.
        self._next, self._rows, self._first = 0, 0, 0
        self._stats: Stats | None = None

    def write(self, steps: Mapping[str, NDArray[Any]]) -> None:
        """Append steps.

        Raises:
            OSError: the disk refuses; some or all of these steps are lost, but none before.
            RecordingError: the existing recording has another spec or is damaged.
        """
        try:
            try:
                self._prepare()
            except RecordingError as error:
                # A file that the disk cannot read now is not necessarily damaged.
                if isinstance(error.__cause__, OSError) and error.__cause__.errno:
                    raise error.__cause__ from error
                raise
            for piece, fresh in self._pieces(steps):
                if self._open and (fresh or self._is_full(self._open)):
                    self._close_episode()
                if self._open is None:
                    files = EpisodeFiles(self.folder, self._next)
                    self._open = OpenEpisode(files, self.spec, self._rows, self._crf)
                self._open.append(piece)
                if self._limit_size():
                    self._write_totals()
        except OSError:
            self._abandon()
            raise

    def close(self) -> None:
        """Close the open episode.

        Raises:
            OSError: the disk refuses; a later writer closes it.
        """
        try:
            if self._open:
                self._close_episode()
        except OSError:
            self._abandon()
            raise

    def _is_full(self, episode: OpenEpisode) -> bool:
        if self._max_bytes is not None and episode.bytes > self._max_bytes / 4:
            return True
        return episode.rows == EPISODE_STEPS

    def _abandon(self) -> None:
        """Leave the open episode as it is, to be recovered when the disk has room again."""
        self._ready = False
        if self._open:
            self._open.abandon()
            self._open = None

    def _pieces(
        self, steps: Mapping[str, NDArray[Any]]
    ) -> Iterator[tuple[dict[str, NDArray[Any]], bool]]:
        """Yield steps cut where an episode must end, and whether a trajectory begins with them."""
        ticks = steps["index"]
        fresh = steps["is_first"] | (np.diff(ticks, prepend=self._last_tick) != 1)
        start = 0
        while start < len(ticks):
            full = self._open is None or fresh[start] or self._open.rows == EPISODE_STEPS
            room = EPISODE_STEPS - (0 if full or self._open is None else self._open.rows)
            later = np.flatnonzero(fresh[start + 1 : start + room])
            stop = start + 1 + int(later[0]) if len(later) else min(start + room, len(ticks))
            yield {key: value[start:stop] for key, value in steps.items()}, bool(fresh[start])
            self._last_tick, start = int(ticks[stop - 1]), stop

    def _prepare(self) -> None:
        """Recover the episode left open, and count the closed ones."""
        if self._ready:
            return
        check_spec(self.folder, self.spec)
        if not (self.folder / DATASET_SPEC).is_file():
            write_spec(self.folder, self.spec)
        if not (self.folder / TASKS).is_file():
            tables.write_tasks(self.folder / TASKS)
        for number in open_episodes(self.folder):
            files = EpisodeFiles(self.folder, number)
            if files.meta.is_file():
                files.journal.unlink()
            else:
                self._recover(files)
        self._count()
        self._limit_size()
        self._write_totals()
        self._ready = True

    def _recover(self, files: EpisodeFiles) -> None:
        """Close an episode left open; set it aside if it cannot be recovered."""
        try:
            recover(files, self.spec)
        except (RecordingError, ValueError) as error:
            print_error(f"recorder: {files.journal} is set aside: {error}")
            for path in (files.journal, files.video):
                if path.is_file():
                    # Not in `data`: other programs read every file there.
                    path.replace(files.video.with_name(path.name + DAMAGED))

    def _count(self) -> None:
        """Read the entries of closed episodes, and remove videos without rows."""
        self._next = self._rows = 0
        self._stats = None
        for number in episode_numbers(self.folder, EPISODES_PATH):
            entry = read_entry(self.folder, number)
            self._next, self._rows = number + 1, entry["dataset_to_index"]
            self._add(stats_of(entry))
        present = set(episode_numbers(self.folder, DATA_PATH))
        self._first = min(present, default=self._next)
        for number in episode_numbers(self.folder, VIDEO_PATH, ".mp4"):
            if number not in present:
                EpisodeFiles(self.folder, number).video.unlink()

    def _add(self, found: Stats) -> None:
        self._stats = found if self._stats is None else stats.merge([self._stats, found])

    def _close_episode(self) -> None:
        assert self._open is not None
        self._add(self._open.close())
        self._next, self._rows = self._next + 1, self._rows + self._open.rows
        self._open = None
        self._limit_size()
        self._write_totals()

    def _limit_size(self) -> bool:
        """Remove the oldest closed episodes, but not their entries; return whether any was.

        LeRobot finds an entry by its position.
        """
        if self._max_bytes is None:
            return False
        size, first = size_of(self.folder), self._first
        # The newest episode stays, open or closed.
        while size > self._max_bytes and self._first < self._next - (self._open is None):
            files = EpisodeFiles(self.folder, self._first)
            # Rows first: a video without rows is removed later, rows without a video are damaged.
            for path in (files.data, files.video):
                size -= path.stat().st_size if path.is_file() else 0
                path.unlink(missing_ok=True)
            self._first += 1
            self.removed += 1
        return self._first > first

    def _write_totals(self) -> None:
        write_json(self.folder / INFO, self.spec.info(self._first, self._next, self._rows))
        write_json(self.folder / STATS, stats.to_json(self._stats) if self._stats else {})


def read_entry(folder: Path, number: int) -> dict[str, Any]:
    """Return a closed episode's entry in LeRobot's table of episodes.

    Raises:
        RecordingError: it is damaged.
    """
    path = EpisodeFiles(folder, number).meta
    entries: list[dict[str, Any]] = tables.read_table(path).to_pylist()
    if len(entries) != 1:
        raise RecordingError(f"{path} is damaged: it has {len(entries)} lines, not 1")
    return entries[0]


def check_recording(folder: Path, spec: DatasetSpec) -> None:
    """Check that a recording, where there is one, can be continued with this spec.

    Raises:
        RecordingError: it has another spec, or its table of episodes is damaged.
    """
    check_spec(folder, spec)
    for number in episode_numbers(folder, EPISODES_PATH):
        read_entry(folder, number)


def size_of(folder: Path) -> int:
    """Return the bytes of a recording, without files computed from it later."""
    return sum(
        (Path(where) / name).stat().st_size
        for part in ("data", "meta", "videos", OPEN_FOLDER)
        for where, _, names in os.walk(folder / part)
        for name in names
    )
