"""Minimum, maximum, mean and standard deviation of every column, for LeRobot's normalisation."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pamiq_lightning.recording.schema import FRAME_KEY

Stats = dict[str, dict[str, NDArray[Any]]]
SAMPLE_EVERY = 30
"""The statistics of frames use one frame of this many."""


def _over(
    values: NDArray[np.float64], axes: tuple[int, ...], count: int
) -> dict[str, NDArray[Any]]:
    """Return the statistics over some axes; NaN is a missing number."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN|Mean of empty|Degrees of freedom")
        return {
            "min": np.nanmin(values, axes),
            "max": np.nanmax(values, axes),
            "mean": np.nanmean(values, axes),
            "std": np.nanstd(values, axes),
            "count": np.array([count]),
        }


def compute(table: pa.Table, frames: NDArray[np.uint8]) -> Stats:
    """Return the statistics of one episode.

    Args:
        table: the rows.
        frames: some of the frames (n, 3, H, W); their statistics are of the colours, from 0 to 1,
            in the shape (3, 1, 1).
    """
    found: Stats = {}
    colours = _over(frames.astype(np.float64) / 255, (0, 2, 3), len(frames))
    found[FRAME_KEY] = {
        name: value if name == "count" else value.reshape(3, 1, 1)
        for name, value in colours.items()
    }
    for name in table.column_names:
        column = table.column(name).combine_chunks()
        many = pa.types.is_fixed_size_list(column.type)
        flat = column.flatten() if many else column
        values = flat.to_numpy(zero_copy_only=False).astype(np.float64)
        found[name] = _over(values.reshape(len(table), -1), (0,), len(table))
    return found


def merge(parts: Sequence[Stats]) -> Stats:
    """Return the statistics of several episodes as one."""
    return {name: _merged([part[name] for part in parts]) for name in parts[0]}


def _merged(parts: Sequence[dict[str, NDArray[Any]]]) -> dict[str, NDArray[Any]]:
    minimum, maximum, mean, std, count = (
        np.stack([part[name] for part in parts]) for name in ("min", "max", "mean", "std", "count")
    )
    weight = (count / count.sum()).reshape(-1, *(1,) * (mean.ndim - 1))
    merged = (weight * mean).sum(axis=0)
    variance = (weight * (std**2 + (mean - merged) ** 2)).sum(axis=0)
    return {
        "min": minimum.min(axis=0),
        "max": maximum.max(axis=0),
        "mean": merged,
        "std": np.sqrt(variance),
        "count": count.sum(axis=0),
    }


def to_json(stats: Stats) -> dict[str, dict[str, list[Any]]]:
    """Return the statistics as JSON values, without columns where a number is always missing."""
    return {
        name: {what: value.tolist() for what, value in statistics.items()}
        for name, statistics in stats.items()
        if all(np.isfinite(value).all() for value in statistics.values())
    }
