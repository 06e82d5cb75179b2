"""Least, greatest, mean and spread of every column, as LeRobot normalises by them."""

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
"""Of so many frames of an episode, its statistics take one."""


def _of(values: NDArray[np.float64], axes: tuple[int, ...], count: int) -> dict[str, NDArray[Any]]:
    """NaN stands for a number that was not there."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN|Mean of empty|Degrees of freedom")
        return {
            "min": np.nanmin(values, axes),
            "max": np.nanmax(values, axes),
            "mean": np.nanmean(values, axes),
            "std": np.nanstd(values, axes),
            "count": np.array([count]),
        }


def of_episode(table: pa.Table, frames: NDArray[np.uint8]) -> Stats:
    """Return the statistics of one episode.

    Args:
        table: its rows.
        frames: some of its frames (n, 3, H, W); their statistics are of the colours, in 0 to 1, and
            shaped (3, 1, 1).
    """
    found: Stats = {}
    colours = _of(frames.astype(np.float64) / 255, (0, 2, 3), len(frames))
    found[FRAME_KEY] = {
        name: value if name == "count" else value.reshape(3, 1, 1)
        for name, value in colours.items()
    }
    for name in table.column_names:
        column = table.column(name).combine_chunks()
        many = pa.types.is_fixed_size_list(column.type)
        flat = column.flatten() if many else column
        values = flat.to_numpy(zero_copy_only=False).astype(np.float64)
        found[name] = _of(values.reshape(len(table), -1), (0,), len(table))
    return found


def together(parts: Sequence[Stats]) -> Stats:
    """Return the statistics of several episodes as one."""
    return {name: _together([part[name] for part in parts]) for name in parts[0]}


def _together(parts: Sequence[dict[str, NDArray[Any]]]) -> dict[str, NDArray[Any]]:
    least, greatest, mean, spread, count = (
        np.stack([part[name] for part in parts]) for name in ("min", "max", "mean", "std", "count")
    )
    share = (count / count.sum()).reshape(-1, *(1,) * (mean.ndim - 1))
    middle = (share * mean).sum(axis=0)
    variance = (share * (spread**2 + (mean - middle) ** 2)).sum(axis=0)
    return {
        "min": least.min(axis=0),
        "max": greatest.max(axis=0),
        "mean": middle,
        "std": np.sqrt(variance),
        "count": count.sum(axis=0),
    }


def plain(stats: Stats) -> dict[str, dict[str, list[Any]]]:
    """Return what JSON can hold; a column in which a number was never there is left out."""
    return {
        name: {what: value.tolist() for what, value in of_one.items()}
        for name, of_one in stats.items()
        if all(np.isfinite(value).all() for value in of_one.values())
    }
