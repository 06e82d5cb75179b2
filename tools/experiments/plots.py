"""The plots of a report: coverage over time, time by region, reward by visits and by cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tools.experiments.metrics import Run, coverage_curve, region_shares, reward_by_visits
from tools.experiments.statistics import estimate

Runs = Mapping[str, Sequence[Run]]
"""The runs of each point, by its name."""
_COLUMNS = 4


def coverage(runs: Runs, path: Path) -> None:
    """Plot the share of the cells entered, every seed thin and their interquartile mean thick."""
    figure, axes = plt.subplots(figsize=(8, 5), layout="constrained")
    for number, (name, seeds) in enumerate(runs.items()):
        colour = f"C{number % 10}"
        curves = [coverage_curve(run) for run in seeds]
        for ticks, curve in curves:
            axes.plot(ticks, 100 * curve, color=colour, alpha=0.3, linewidth=0.8)
        shortest = min(curves, key=lambda each: len(each[0]))[0]
        values = np.array([np.interp(shortest, ticks, curve) for ticks, curve in curves])
        middle = [100 * estimate(column).middle for column in values.T]
        axes.plot(shortest, middle, color=colour, label=f"{name} ({len(seeds)})")
    axes.set(xlabel="tick", ylabel="cells entered, %", xlim=0, ylim=0)
    axes.legend(fontsize="small")
    _save(figure, path)


def regions(runs: Runs, path: Path) -> None:
    """Plot the share of the time in each region, every seed a dot, the region's area a dash."""
    areas = next(iter(runs.values()))[0].map.area_shares()
    figure, axes = plt.subplots(figsize=(1.6 * len(areas) + 3, 5), layout="constrained")
    width = 0.8 / len(runs)
    for number, (name, seeds) in enumerate(runs.items()):
        shares = [region_shares(run) for run in seeds]
        places = np.arange(len(areas)) - 0.4 + width * (number + 0.5)
        values = [[share.get(region, 0.0) for share in shares] for region in areas]
        heights = [100 * estimate(each).middle for each in values]
        axes.bar(places, heights, width, label=name, color=f"C{number % 10}")
        for place, each in zip(places, values, strict=True):
            axes.plot([place] * len(each), 100 * np.array(each), "k.", markersize=3)
    for n, share in enumerate(areas.values()):
        axes.plot([n - 0.45, n + 0.45], [100 * share] * 2, "k--", linewidth=1)
    axes.set_xticks(range(len(areas)), list(areas), rotation=20, ha="right")
    axes.set(ylabel="share of the time, % (dashed: of the area)")
    axes.legend(fontsize="small")
    _save(figure, path)


def visits(runs: Runs, path: Path) -> None:
    """Plot each reward against how often its transition had been made."""
    figure, panels = _panels(len(runs))
    for panel, (name, seeds) in zip(panels, runs.items(), strict=False):
        for run in seeds:
            counts, means = reward_by_visits(run)
            panel.plot(counts, means, "o-", markersize=3, linewidth=1)
        panel.axhline(0, color="grey", linewidth=0.5)
        panel.set(title=name, xlabel="visits, up to", ylabel="reward")
        panel.set_xscale("log", base=2)
    _save(figure, path)


def reward_maps(runs: Runs, path: Path) -> None:
    """Plot the mean reward of transitions from each cell, first seed, over the floor plan."""
    figure, panels = _panels(len(runs), height=4.5)
    for panel, (name, seeds) in zip(panels, runs.items(), strict=False):
        run = seeds[0]
        corners = np.array([run.map.cells.corner(cell) for cell in run.map.reachable.tolist()])
        (west, south), (east, north) = corners.min(axis=0), corners.max(axis=0) + 1
        grid = np.full((north - south, east - west), np.nan)
        floor = np.zeros_like(grid)
        valid = ~np.isnan(run.gained)
        for cell, (x, y) in zip(run.map.reachable.tolist(), corners.tolist(), strict=True):
            floor[y - south, x - west] = 1
            here = run.gained[valid & (run.cells == cell)]
            if len(here):
                grid[y - south, x - west] = here.mean()
        extent = (west, east, south, north)
        panel.imshow(floor, "Greys", origin="lower", extent=extent, vmin=0, vmax=6)
        picture = panel.imshow(grid, origin="lower", extent=extent)
        figure.colorbar(picture, ax=panel, shrink=0.7)
        panel.set(title=name, aspect="equal")
    _save(figure, path)


def _panels(count: int, height: float = 3.0) -> tuple[Figure, list[Axes]]:
    columns = min(count, _COLUMNS)
    rows = -(-count // columns)
    figure, panels = plt.subplots(
        rows, columns, figsize=(3.5 * columns, height * rows), squeeze=False, layout="constrained"
    )
    for unused in panels.flat[count:]:
        unused.set_axis_off()
    return figure, list(panels.flat)


def _save(figure: Figure, path: Path) -> None:
    figure.savefig(path, dpi=120)
    plt.close(figure)
