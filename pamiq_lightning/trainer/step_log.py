"""The step log: the small fields of every row of a run in one file, for experiments and reports."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pamiq_lightning.exchange.rollouts import Rollout
from pamiq_lightning.run_files import STEP_LOG, STEP_LOG_FIELDS
from pamiq_lightning.step import StepShape
from pamiq_lightning.utils.atomic_io import replace_atomic
from pamiq_lightning.utils.console import safe_print
from pamiq_lightning.utils.json_text import json_text
from pamiq_lightning.utils.outage import Outage

OMITTED = ("frame", "latent", "state")
"""The large fields of a row."""


class StepLogError(Exception):
    """The step log cannot be read; the message says where and why."""


class StepLog:
    """Appends every rollout to the step log.

    Args:
        folder: of the run.
        shape: the layout of the rows.
        notify: takes messages for the person.
    """

    def __init__(
        self, folder: Path, shape: StepShape, notify: Callable[[str], object] = safe_print
    ) -> None:
        self._outage = Outage(notify, "the step log is written again")
        fields = {n: f for n, f in shape.fields().items() if n not in OMITTED}
        description = {
            "fields": [[n, np.dtype(f.dtype).str, list(f.shape)] for n, f in fields.items()],
            "info_names": list(shape.info_names),
        }
        self._dtype, self._path = _row_dtype(description), folder / STEP_LOG
        replace_atomic(folder / STEP_LOG_FIELDS, json_text(description, indent=1).encode())

    def __call__(self, rollout: Rollout) -> None:
        """Append one rollout; if the disk refuses, that rollout is left out."""
        rows = np.zeros(len(rollout.steps["index"]), self._dtype)
        for name in self._dtype.names or ():
            rows[name] = rollout.steps[name]
        try:
            with self._path.open("ab") as file:
                file.write(rows.tobytes())
            self._outage.succeeded()
        except OSError as error:
            self._outage.failed(f"the step log is losing rollouts: {error}")


def load_step_log(folder: Path) -> tuple[NDArray[np.void], tuple[str, ...]]:
    """Return the rows of a run's step log in the order of their index, and the names of `info`.

    Incomplete rows are left out; of rows with the same index the last one counts.

    Raises:
        StepLogError: the run has none, or it is damaged.
    """
    try:
        description = json.loads((folder / STEP_LOG_FIELDS).read_text(encoding="utf-8"))
        dtype = _row_dtype(description)
        written = (folder / STEP_LOG).read_bytes()
    except FileNotFoundError as error:
        raise StepLogError(
            f"{folder} has no step log: run it with trainer.step_log=true"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise StepLogError(f"{folder / STEP_LOG_FIELDS} is damaged: {error}") from error
    whole = len(written) // dtype.itemsize
    rows = np.frombuffer(written, dtype, whole)
    _, last = np.unique(rows["index"][::-1], return_index=True)
    return rows[whole - 1 - last], tuple(description["info_names"])


def ticks_written(folder: Path) -> int:
    """Return how many rows the step log of a run has by now; 0 if none can be read yet."""
    try:
        description = json.loads((folder / STEP_LOG_FIELDS).read_text(encoding="utf-8"))
        size = (folder / STEP_LOG).stat().st_size
    except (FileNotFoundError, ValueError):
        return 0
    return int(size // _row_dtype(description).itemsize)


def _row_dtype(description: dict[str, Any]) -> np.dtype[np.void]:
    """Return the numpy type of a row."""
    return np.dtype([(name, dtype, tuple(shape)) for name, dtype, shape in description["fields"]])
