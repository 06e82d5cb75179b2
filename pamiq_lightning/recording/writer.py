"""Writes a recording, episode by episode, and keeps it below its size."""

from __future__ import annotations

import os
import sys
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
    STATS,
    TASKS,
    VIDEO_PATH,
    DatasetSpec,
    EpisodeFiles,
    RecordingError,
    check_spec,
    numbers_of,
    write_json,
    write_plan,
)
from pamiq_lightning.recording.stats import Stats

DAMAGED = ".damaged"
"""Behind the names of files that cannot be gone on with."""


class RecordingWriter:
    """Appends steps to a recording, a new one or one that is there already.

    A new episode begins at every `is_first`, at every jump of `index`, and after `EPISODE_STEPS`.
    What a killed writer, or a full disk, left open is closed before anything else is written.

    Args:
        folder: of the recording.
        plan: what all its episodes have in common.
        crf: constant rate factor of the video.
        max_bytes: size beyond which the oldest closed episodes are removed; checked whenever one is
            closed, so that the open one comes on top.
    """

    def __init__(
        self, folder: Path, spec: DatasetSpec, crf: int, max_bytes: float | None = None
    ) -> None:
        self.folder, self.spec, self.removed = folder, spec, 0
        self._crf, self._max_bytes = crf, max_bytes
        self._ready = False
        self._open: OpenEpisode | None = None
        self._last_tick = -1
        # Of what is closed: the next number, the rows, the oldest that is still there.
        self._next, self._rows, self._first = 0, 0, 0
        self._stats: Stats | None = None

    def write(self, steps: Mapping[str, NDArray[Any]]) -> None:
        """Append steps.

        Raises:
            OSError: the disk refuses; these steps are lost, in part or all, but nothing before.
            RecordingError: the recording that is there is of another kind, or damaged.
        """
        try:
            try:
                self._prepare()
            except RecordingError as error:
                # Not damaged, perhaps: what cannot be read now may be readable later.
                if isinstance(error.__cause__, OSError) and error.__cause__.errno:
                    raise error.__cause__ from error
                raise
            for piece, fresh in self._pieces(steps):
                if self._open and (fresh or self._open.rows == EPISODE_STEPS):
                    self._close_episode()
                if self._open is None:
                    files = EpisodeFiles(self.folder, self._next)
                    self._open = OpenEpisode(files, self.spec, self._rows, self._crf)
                self._open.append(piece)
        except OSError:
            self._let_go()
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
            self._let_go()
            raise

    def _let_go(self) -> None:
        """Leave the open episode as it is, to be closed when the disk has room again."""
        self._ready = False
        if self._open:
            self._open.abandon()
            self._open = None

    def _pieces(
        self, steps: Mapping[str, NDArray[Any]]
    ) -> Iterator[tuple[dict[str, NDArray[Any]], bool]]:
        """Yield steps cut where an episode must end, and whether a trace begins with each piece."""
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
        """Take up what is there: close what was left open, and count."""
        if self._ready:
            return
        check_spec(self.folder, self.spec)
        if not (self.folder / DATASET_SPEC).is_file():
            write_plan(self.folder, self.spec)
        if not (self.folder / TASKS).is_file():
            tables.write_tasks(self.folder / TASKS)
        for number in numbers_of(self.folder, DATA_PATH, ".arrow"):
            files = EpisodeFiles(self.folder, number)
            if files.meta.is_file():
                files.journal.unlink()
            else:
                self._recover(files)
        self._count()
        self._keep_size()
        self._write_totals()
        self._ready = True

    def _recover(self, files: EpisodeFiles) -> None:
        """Close what was left open; what cannot be is put aside, so that others can follow."""
        try:
            recover(files, self.spec)
        except (RecordingError, ValueError) as error:
            print(f"recorder: {files.journal} is put aside: {error}", file=sys.stderr, flush=True)
            for path in (files.journal, files.video):
                if path.is_file():
                    path.replace(path.with_name(path.name + DAMAGED))

    def _count(self) -> None:
        """Read what is closed, and remove videos that no row belongs to any more."""
        self._next = self._rows = 0
        self._stats = None
        for number in numbers_of(self.folder, EPISODES_PATH):
            (line,) = tables.read_table(EpisodeFiles(self.folder, number).meta).to_pylist()
            self._next, self._rows = number + 1, line["dataset_to_index"]
            self._add(stats_of(line))
        kept = set(numbers_of(self.folder, DATA_PATH))
        self._first = min(kept, default=self._next)
        for number in numbers_of(self.folder, VIDEO_PATH, ".mp4"):
            if number not in kept:
                EpisodeFiles(self.folder, number).video.unlink()

    def _add(self, found: Stats) -> None:
        self._stats = found if self._stats is None else stats.together([self._stats, found])

    def _close_episode(self) -> None:
        assert self._open is not None
        self._add(self._open.close())
        self._next, self._rows = self._next + 1, self._rows + self._open.rows
        self._open = None
        self._keep_size()
        self._write_totals()

    def _keep_size(self) -> None:
        """Remove the oldest episodes; their lines stay, for LeRobot finds a line by its place."""
        if self._max_bytes is None:
            return
        size = size_of(self.folder)
        while size > self._max_bytes and self._first < self._next - 1:
            files = EpisodeFiles(self.folder, self._first)
            # Rows first: without them nobody looks for the video.
            for path in (files.data, files.video):
                size -= path.stat().st_size if path.is_file() else 0
                path.unlink(missing_ok=True)
            self._first += 1
            self.removed += 1

    def _write_totals(self) -> None:
        write_json(self.folder / INFO, self.spec.info(self._first, self._next, self._rows))
        write_json(self.folder / STATS, stats.plain(self._stats) if self._stats else {})


def size_of(folder: Path) -> int:
    """Return the bytes of a recording, without what was made of it later."""
    return sum(
        (Path(where) / name).stat().st_size
        for part in ("data", "meta", "videos")
        for where, _, names in os.walk(folder / part)
        for name in names
    )
