"""Curves and bars of a run's metrics, as SVG."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from agent.actions import ACTIONS
from tools.report.run_data import Series, Steps

BINS = 200
"""Points of a curve; more would only enlarge the page."""
COLUMNS = 4
_SIZE = (3.0, 1.7)
# Text stays text: small, sharp, and searchable.
mpl.rcParams.update({"svg.fonttype": "none", "font.size": 8, "axes.spines.top": False})
mpl.rcParams.update({"axes.spines.right": False, "axes.grid": True, "grid.alpha": 0.3})


def as_svg(figure: Figure) -> str:
    """Return a figure as an SVG element for a page."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", bbox_inches="tight", transparent=True)
    text = buffer.getvalue()
    return text[re.search("<svg", text).start() :]  # type: ignore[union-attr]


def binned(
    hours: Sequence[float], values: Sequence[float]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the middles of at most `BINS` spans of time, and mean, least and largest in each."""
    at, value = np.asarray(hours, float), np.asarray(values, float)
    edges = np.linspace(at.min(), at.max() + 1e-9, min(BINS, len(at)) + 1)
    bins = np.clip(np.searchsorted(edges, at, "right") - 1, 0, len(edges) - 2)
    filled = np.unique(bins)
    parts = [value[bins == n] for n in filled]
    middle = (edges[filled] + edges[filled + 1]) / 2
    mean, low, high = (np.array([f(part) for part in parts]) for f in (np.mean, np.min, np.max))
    return middle, mean, low, high


def curves(metrics: Series) -> str:
    """Plot every metric of one role over the hours: mean, least and largest value."""
    names = sorted(metrics)
    rows = -(-len(names) // COLUMNS)
    figure = Figure(figsize=(COLUMNS * _SIZE[0], rows * _SIZE[1]), layout="constrained")
    grid = list(figure.subplots(rows, COLUMNS, squeeze=False).flat)
    for axes, name in zip(grid, names, strict=False):
        middle, mean, low, high = binned(*metrics[name])
        axes.fill_between(middle, low, high, alpha=0.2, linewidth=0)
        axes.plot(middle, mean, linewidth=1)
        axes.set_title(name, loc="left", fontsize=8)
    for axes in grid[len(names) :]:
        axes.set_visible(False)
    figure.supxlabel("hours", fontsize=8)
    return as_svg(figure)


def actions(steps: Steps) -> str:
    """Plot how often each choice of each action category was taken, over time."""
    figure = Figure(figsize=(COLUMNS * _SIZE[0], _SIZE[1] + 0.4), layout="constrained")
    spans = np.array_split(np.arange(len(steps.index)), min(50, len(steps.index)))
    for category, axis in enumerate(ACTIONS):
        axes = figure.add_subplot(1, len(ACTIONS), category + 1)
        shares = [
            [np.mean(steps.action[span, category] == choice) for span in spans]
            for choice in range(len(axis.values))
        ]
        labels = [f"{value:+g}" if value else "0" for value in axis.values]
        axes.stackplot(range(len(spans)), shares, labels=labels, alpha=0.8)
        axes.set_title(axis.name, loc="left", fontsize=8)
        axes.set_xticks([])
        axes.set_ylim(0, 1)
        axes.legend(fontsize=6, loc="lower left")
    figure.supxlabel("from the first recorded step to the last", fontsize=8)
    return as_svg(figure)


def intervals(steps: Steps) -> str:
    """Plot the time from each recorded tick to the next, without gaps (ms)."""
    follows = (np.diff(steps.index) == 1) & ~steps.is_first[1:]
    lengths = 1e3 * np.diff(steps.time)[follows]
    figure = Figure(figsize=(2 * _SIZE[0], _SIZE[1]), layout="constrained")
    axes = figure.add_subplot()
    axes.hist(lengths, bins=100, log=True)
    axes.set_xlabel("ms from tick to tick")
    axes.set_ylabel("ticks")
    return as_svg(figure)
