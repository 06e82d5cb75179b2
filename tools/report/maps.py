"""Where the agent was, and where it was rewarded, seen from above; where the truth is known."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from tools.report.charts import as_svg
from tools.report.run_data import Steps

CELL_M = 1.0


def place_is_known(moments: Steps) -> bool:
    """Tell whether x and y were recorded."""
    return all(
        name in moments.info and np.isfinite(moments.info[name]).any() for name in ("x", "y")
    )


def maps(moments: Steps) -> str:
    """Draw the way that was taken, the steps in each square metre, and the mean reward there."""
    x, y = moments.info["x"], moments.info["y"]
    figure = Figure(figsize=(12, 5), layout="constrained")
    way, visits, reward = figure.subplots(1, 3, sharex=True, sharey=True)
    hours = (moments.time - moments.time[0]) / 3600
    dots = way.scatter(x, y, c=hours, s=0.5, cmap="viridis", rasterized=True)
    figure.colorbar(dots, ax=way, label="hours", shrink=0.7)
    way.set_title("way", loc="left")

    edges = _edges(x), _edges(y)
    count, *_ = np.histogram2d(x, y, edges)
    _draw(figure, visits, edges, np.log10(np.where(count, count, np.nan)), "steps, log10")
    visits.set_title(f"visits: {int((count > 0).sum())} cells of 1 m", loc="left")

    rewarded = moments.rewarded
    total, *_ = np.histogram2d(x[rewarded], y[rewarded], edges, weights=moments.reward[rewarded])
    times, *_ = np.histogram2d(x[rewarded], y[rewarded], edges)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = total / times
    _draw(figure, reward, edges, mean, "mean reward")
    reward.set_title("reward", loc="left")
    for axes in (way, visits, reward):
        axes.set_aspect("equal")
        axes.set_xlabel("x, m")
    way.set_ylabel("y, m")
    return as_svg(figure)


def _edges(at: NDArray[np.float32]) -> NDArray[np.float64]:
    known = at[np.isfinite(at)]
    return np.arange(np.floor(known.min()), np.floor(known.max()) + 2 * CELL_M, CELL_M)


def _draw(
    figure: Figure,
    axes: Axes,
    edges: tuple[NDArray[np.float64], NDArray[np.float64]],
    values: NDArray[np.float64],
    label: str,
) -> None:
    mesh = axes.pcolormesh(*edges, values.T, cmap="magma", rasterized=True)
    figure.colorbar(mesh, ax=axes, label=label, shrink=0.7)
