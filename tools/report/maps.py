"""Where the agent was and was rewarded, from above; needs ground truth."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from tools.report.charts import as_svg
from tools.report.run_data import Steps

CELL_M = 1.0


def has_positions(steps: Steps) -> bool:
    """Return whether x and y were recorded."""
    return all(name in steps.info and np.isfinite(steps.info[name]).any() for name in ("x", "y"))


def maps(steps: Steps) -> str:
    """Plot the path, and the steps and the mean reward in each square metre."""
    x, y = steps.info["x"], steps.info["y"]
    figure = Figure(figsize=(12, 5), layout="constrained")
    path, visits, reward = figure.subplots(1, 3, sharex=True, sharey=True)
    hours = (steps.time - steps.time[0]) / 3600
    dots = path.scatter(x, y, c=hours, s=0.5, cmap="viridis", rasterized=True)
    figure.colorbar(dots, ax=path, label="hours", shrink=0.7)
    path.set_title("path", loc="left")

    edges = _edges(x), _edges(y)
    count, *_ = np.histogram2d(x, y, edges)
    _draw(figure, visits, edges, np.log10(np.where(count, count, np.nan)), "steps, log10")
    visits.set_title(f"visits: {int((count > 0).sum())} cells of 1 m", loc="left")

    rewarded = steps.rewarded
    total, *_ = np.histogram2d(x[rewarded], y[rewarded], edges, weights=steps.reward[rewarded])
    times, *_ = np.histogram2d(x[rewarded], y[rewarded], edges)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = total / times
    _draw(figure, reward, edges, mean, "mean reward")
    reward.set_title("reward", loc="left")
    for axes in (path, visits, reward):
        axes.set_aspect("equal")
        axes.set_xlabel("x, m")
    path.set_ylabel("y, m")
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
