"""Steps as Parquet and Arrow tables, and back."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pamiq_lightning.recording.schema import COLUMNS, COUNTERS, TASK, DatasetSpec, RecordingError
from pamiq_lightning.utils.atomic_io import replace_atomic
from pamiq_lightning.utils.json_text import json_text

Steps = Mapping[str, NDArray[Any]]


def schema(spec: DatasetSpec) -> pa.Schema:
    """Return the columns of a data file."""
    columns = []
    for key, field in spec.tabular().items():
        kind = pa.from_numpy_dtype(np.dtype(field.dtype))
        # LeRobot stores a list of one element as a plain column.
        many = field.shape and field.shape != (1,)
        columns.append((COLUMNS.get(key, key), pa.list_(kind, field.shape[0]) if many else kind))
    counters = [(name, pa.type_for_alias(dtype)) for name, dtype in COUNTERS.items()]
    return pa.schema([*columns, *counters])


def to_batch(
    spec: DatasetSpec, steps: Steps, episode: int, first_frame: int, first_index: int
) -> pa.RecordBatch:
    """Return steps as rows of a data file.

    Args:
        spec: of the recording.
        steps: arrays of N rows.
        episode: number of their episode.
        first_frame: number of the first row within its episode.
        first_index: number of the first row within the recording.
    """
    rows = len(steps["index"])
    frame = np.arange(first_frame, first_frame + rows, dtype=np.int64)
    columns: dict[str, NDArray[Any]] = {
        COLUMNS.get(key, key): np.asarray(steps[key], field.dtype)
        for key, field in spec.tabular().items()
    }
    columns |= {
        "timestamp": (frame / spec.fps).astype(np.float32),
        "frame_index": frame,
        "episode_index": np.full(rows, episode, np.int64),
        "index": np.arange(first_index, first_index + rows, dtype=np.int64),
        "task_index": np.zeros(rows, np.int64),
    }
    kinds = schema(spec)
    arrays = [_arrow(columns[name], kinds.field(name).type) for name in kinds.names]
    return pa.RecordBatch.from_arrays(arrays, schema=kinds)


def _arrow(array: NDArray[Any], kind: pa.DataType) -> pa.Array:
    flat = pa.array(np.ascontiguousarray(array).reshape(-1))
    if pa.types.is_fixed_size_list(kind):
        return pa.FixedSizeListArray.from_arrays(flat, type=kind)
    return flat


def to_steps(
    spec: DatasetSpec, table: pa.Table, keys: Collection[str] | None = None
) -> dict[str, NDArray[Any]]:
    """Return the rows of a data file as arrays; the inverse of `to_batch`, without frames.

    Args:
        spec: of the recording.
        table: the rows.
        keys: keys wanted; default: all.
    """
    steps = {}
    for key, field in spec.fields().items():
        if key == "frame" or (keys is not None and key not in keys):
            continue
        dtype = np.dtype(field.dtype)
        if 0 in field.shape:
            steps[key] = np.zeros((len(table), *field.shape), dtype)
            continue
        column = table.column(COLUMNS.get(key, key)).combine_chunks()
        if pa.types.is_fixed_size_list(column.type):
            column = column.flatten()
        flat = column.to_numpy(zero_copy_only=False)
        steps[key] = flat.astype(dtype, copy=False).reshape(len(table), *field.shape)
    return steps


def read_table(path: Path, columns: list[str] | None = None) -> pa.Table:
    """Read a Parquet file, or some columns of it.

    Raises:
        RecordingError: it is damaged.
    """
    try:
        # Opened here: Arrow takes some file names for URLs.
        with path.open("rb") as file:
            return pq.read_table(file, columns=columns)
    except (OSError, pa.ArrowException) as error:
        raise RecordingError(f"{path} is damaged: {error}") from error


def count_rows(path: Path) -> int:
    """Return the number of rows in a Parquet file.

    Raises:
        RecordingError: it is damaged.
    """
    try:
        with path.open("rb") as file:
            return int(pq.read_metadata(file).num_rows)
    except (OSError, pa.ArrowException) as error:
        raise RecordingError(f"{path} is damaged: {error}") from error


def write_table(path: Path, table: pa.Table, staging: Path | None = None) -> None:
    """Write a Parquet file atomically.

    Args:
        path: of the file.
        table: the rows.
        staging: folder where it is prepared; default: beside `path`.

    Raises:
        OSError: the disk refuses.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    floats = [c.name for c in table.schema if pa.types.is_floating(c.type)]
    others = [c.name for c in table.schema if c.name not in floats]
    content = pa.BufferOutputStream()
    pq.write_table(
        table,
        content,
        compression="zstd",
        use_dictionary=others,
        # Numbers that rarely repeat compress better byte by byte.
        use_byte_stream_split=floats,
        # Of little use in a file of one episode, and larger than an entry of the table of episodes.
        write_statistics=False,
    )
    replace_atomic(path, content.getvalue().to_pybytes(), staging)


def write_tasks(path: Path) -> None:
    """Write LeRobot's table of tasks; pandas reads the task as its index."""
    table = pa.table({"task_index": pa.array([0], pa.int64()), "task": pa.array([TASK])})
    columns = [
        {
            "name": name,
            "field_name": name,
            "pandas_type": kind,
            "numpy_type": dtype,
            "metadata": None,
        }
        for name, kind, dtype in (("task_index", "int64", "int64"), ("task", "unicode", "object"))
    ]
    described = {"index_columns": ["task"], "column_indexes": [], "columns": columns}
    write_table(path, table.replace_schema_metadata({"pandas": json_text(described)}))
