"""What one run left on disk, read for its report."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.run_dir import METRICS, SETTINGS, TRAINER_LOG
from pamiq_lightning.recording.reader import RecordingReader
from pamiq_lightning.recording.schema import RecordingError
from tools.saved_run import read_settings, read_summary

Series = dict[str, tuple[list[float], list[float]]]
"""By name of the metric: hours since the first record, and values."""
WARNINGS = ("error", "can be saved", "lost", "losing", "aim ", "warning", "killed", "hangs")
"""Words in lines of the trainer's log that report a fault."""


class ReportError(Exception):
    """A folder is no run; the message says what is missing."""


@dataclass(frozen=True)
class Steps:
    """All recorded steps without their frames, N of them, from old to new."""

    index: NDArray[np.int64]
    time: NDArray[np.float64]
    action: NDArray[np.int64]
    """(N, A)"""
    reward: NDArray[np.float32]
    rewarded: NDArray[np.bool_]
    """Where there is a reward: at valid steps that are not the first."""
    valid: NDArray[np.bool_]
    is_first: NDArray[np.bool_]
    info: dict[str, NDArray[np.float32]]


class RunData:
    """One run folder, `runs/<experiment>/<date-time>`.

    Attributes:
        unreadable_lines: of the metrics, known once these are read.

    Raises:
        ReportError: it is no run folder.
        UsageError: its settings are damaged.
    """

    def __init__(self, folder: Path) -> None:
        if not (folder / METRICS).is_file() or not (folder / SETTINGS).is_file():
            raise ReportError(f"{folder} is no run: it has no {SETTINGS} and {METRICS}")
        self.folder = folder
        self.settings, self.summary = read_settings(folder), read_summary(folder)
        self.unreadable_lines = 0

    @cached_property
    def metrics(self) -> dict[str, Series]:
        """Metrics by role."""
        found: dict[str, Series] = defaultdict(lambda: defaultdict(lambda: ([], [])))
        began: float | None = None
        text = (self.folder / METRICS).read_text(encoding="utf-8", errors="replace")
        for line in text.splitlines():
            try:
                record: dict[str, Any] = json.loads(line)
                role, time = record.pop("role"), record.pop("time")
            # The last line of a trainer that was killed may be incomplete, or zeros.
            except (ValueError, KeyError, AttributeError):
                self.unreadable_lines += 1
                continue
            began = time if began is None else began
            record.pop("step", None)
            for name, value in record.items():
                if value is not None:
                    hours, values = found[role][name]
                    hours.append((time - began) / 3600)
                    values.append(value)
        return found

    @cached_property
    def reader(self) -> RecordingReader | None:
        """The recording; None where there is none, or none with a step in it."""
        try:
            return RecordingReader(self.folder)
        except RecordingError:
            return None

    @cached_property
    def steps(self) -> Steps | None:
        """All recorded steps; None without a recording."""
        reader = self.reader
        if reader is None:
            return None
        columns = {
            key: reader.column(key)
            for key in ("index", "time", "action", "reward", "valid", "is_first", "info")
        }
        info = dict(zip(reader.spec.info_names, columns.pop("info").T, strict=True))
        rewarded = columns["valid"] & ~columns["is_first"]
        return Steps(**columns, rewarded=rewarded, info=info)

    def warnings(self) -> list[str]:
        """Return the lines of the trainer's log that report a fault."""
        path = self.folder / TRAINER_LOG
        if not path.is_file():
            return []
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        return [line for line in lines if any(word in line.lower() for word in WARNINGS)]
