"""The track of a life: the small parts of every row in one file, for experiments and reports."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pamiq_lightning.exchange.rollouts import Rollout
from pamiq_lightning.run_files import STEP_LOG, STEP_LOG_FIELDS
from pamiq_lightning.step import StepShape

LEFT_OUT = ("frame", "latent", "state")
"""What makes a row large."""


class StepLogError(Exception):
    """There is no track that could be read; the message says where and why."""


def row_type(shape: StepShape) -> np.dtype[np.void]:
    """Return the numpy type of a row of the track."""
    return np.dtype(
        [
            (name, field.dtype, field.shape)
            for name, field in shape.fields().items()
            if name not in LEFT_OUT
        ]
    )


class StepLog:
    """Writes every window that it is given behind those before.

    Args:
        folder: of the run.
        shape: the layout of the rows.
    """

    def __init__(self, folder: Path, shape: StepShape) -> None:
        self._type, self._path = row_type(shape), folder / STEP_LOG
        kept = {n: f for n, f in shape.fields().items() if n not in LEFT_OUT}
        described = {
            "fields": [[n, np.dtype(f.dtype).str, list(f.shape)] for n, f in kept.items()],
            "info_names": list(shape.info_names),
        }
        (folder / STEP_LOG_FIELDS).write_text(json.dumps(described, indent=1), encoding="utf-8")

    def __call__(self, rollout: Rollout) -> None:
        """Write one window; a disk that refuses costs that window, not the trainer."""
        rows = np.zeros(len(rollout.steps["index"]), self._type)
        for name in self._type.names or ():
            rows[name] = rollout.steps[name]
        try:
            with self._path.open("ab") as file:
                file.write(rows.tobytes())
        except OSError as error:
            print(f"window {rollout.number} is not in the track: {error.strerror}", flush=True)


def load_step_log(folder: Path) -> tuple[NDArray[np.void], tuple[str, ...]]:
    """Return the rows of a run's track in the order lived, and what each number of `info` is.

    What was not written to its end is left out; of what was written twice, the last counts.

    Raises:
        StepLogError: the run has none.
    """
    try:
        described = json.loads((folder / STEP_LOG_FIELDS).read_text(encoding="utf-8"))
        written = (folder / STEP_LOG).read_bytes()
    except FileNotFoundError as error:
        raise StepLogError(f"{folder} has no track: run it with trainer.step_log=true") from error
    kind = np.dtype([(name, dtype, tuple(shape)) for name, dtype, shape in described["fields"]])
    whole = len(written) // kind.itemsize
    rows = np.frombuffer(written, kind, whole)
    _, last = np.unique(rows["index"][::-1], return_index=True)
    return rows[whole - 1 - last], tuple(described["info_names"])


def ticks_written(folder: Path) -> int:
    """Return how many rows the track of a run holds by now; 0 where there is none yet."""
    try:
        described = json.loads((folder / STEP_LOG_FIELDS).read_text(encoding="utf-8"))
        size = (folder / STEP_LOG).stat().st_size
    except (FileNotFoundError, json.JSONDecodeError):
        return 0
    kind = np.dtype([(name, dtype, tuple(shape)) for name, dtype, shape in described["fields"]])
    return size // kind.itemsize
