"""The metrics of one run of an experiment, from its step log."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pamiq_lightning.curiosity.count_oracle import HEADINGS, LOOK, VERTICAL
from pamiq_lightning.step import is_transition
from pamiq_lightning.trainer.step_log import load_step_log
from tools.experiments.regions import Map, map_of
from tools.saved_run import read_settings
from tools.series import action_entropies

OFTEN = 20
"""Visits from which on a transition counts as well known."""
PERIOD = 1000
"""Ticks within which rewards are compared, so that the model's progress does not matter."""
LONG = 1000
"""Ticks of absence after which entering a cell again is a return."""
END_TICKS = 1000
"""The last ticks of a run, by which its behaviour is classified."""
IN_USE = 0.1
"""Share of ticks from which on an axis of movement counts as used."""
AXES = {"forward/back": 0, "strafing": 1, "turning": 2}
CLASSES = {
    (False, False, False): "still",
    (True, False, False): "forward/back only",
    (False, True, False): "strafing only",
    (False, False, True): "turning only",
    (True, True, False): "without turning",
    (True, False, True): "without strafing",
    (False, True, True): "without forward/back",
    (True, True, True): "all three",
}
"""By the use of `AXES`: the classes in which ML Shukai's P-AMI<Q> (2024) counted its runs."""
CURVE_POINTS = 100


@dataclass(frozen=True)
class Run:
    """A run, read from its folder.

    Attributes:
        rows: of its step log (N,).
        info: ground truth and logged rewards by name, each (N,).
        cells: 1 m cell of every row.
        visits: how often the transition that begins at a row had been made, this one included.
        gained: reward of the transition that begins at a row; NaN where there is none.
        rate: ticks per second.
    """

    folder: Path
    rows: NDArray[np.void]
    info: dict[str, NDArray[np.float32]]
    cells: NDArray[np.int64]
    visits: NDArray[np.int64]
    gained: NDArray[np.float64]
    rate: float
    map: Map


def read_run(folder: Path) -> Run:
    """Read a run.

    Raises:
        StepLogError: it has no step log.
    """
    rows, names = load_step_log(folder)
    settings = read_settings(folder)
    info = dict(zip(names, rows["info"].T, strict=True))
    cells = info["cell"].astype(np.int64)
    return Run(
        folder,
        rows,
        info,
        cells,
        count_visits(cells, info["heading"], rows["action"]),
        gains(rows),
        float(settings["rate"]),
        map_of(settings["scene"], settings["seed"]),
    )


def gains(rows: NDArray[np.void]) -> NDArray[np.float64]:
    """Return the reward of the transition that begins at every row; NaN where there is none."""
    gained = np.full(len(rows), np.nan)
    valid = is_transition({key: rows[key] for key in ("index", "valid", "is_first")})
    gained[:-1][valid] = rows["reward"][1:][valid]
    return gained


def count_visits(
    cells: NDArray[np.int64], headings: NDArray[np.float32], actions: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return how often the transition of every row had been made: 1 for the first time."""
    bins = np.round(headings / math.tau * HEADINGS).astype(np.int64) % HEADINGS
    counts: dict[tuple[int, ...], int] = defaultdict(int)
    visits = np.zeros(len(cells), np.int64)
    made = np.stack([cells, bins, actions[:, VERTICAL], actions[:, LOOK]], axis=1)
    for n, transition in enumerate(map(tuple, made.tolist())):
        counts[transition] += 1
        visits[n] = counts[transition]
    return visits


def coverage_curve(run: Run) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return ticks and the share of the reachable cells entered by each."""
    known = np.isin(run.cells, run.map.reachable)
    _, first = np.unique(np.where(known, run.cells, -1), return_index=True)
    entered = np.zeros(len(run.cells))
    entered[first[known[first]]] = 1
    curve = entered.cumsum() / len(run.map.reachable)
    ticks = np.unique(np.linspace(1, len(curve), min(CURVE_POINTS, len(curve))).astype(np.int64))
    return ticks, curve[ticks - 1]


def region_shares(run: Run) -> dict[str, float]:
    """Return the share of the time spent in each region of the map."""
    spent = run.map.region_of(run.cells)
    return {name: float((spent == name).mean()) for name in run.map.area_shares()}


def reward_by_visits(run: Run) -> tuple[list[int], list[float]]:
    """Return the mean reward of transitions by number of visits: 1, 2, 3-4, 5-8 ..."""
    valid = ~np.isnan(run.gained)
    powers = np.ceil(np.log2(run.visits[valid])).astype(int)
    known = sorted(set(powers.tolist()))
    return [2**p for p in known], [float(run.gained[valid][powers == p].mean()) for p in known]


def ratio_within_periods(reward: NDArray[np.float64], visits: NDArray[np.int64]) -> float:
    """Return the mean reward of well-known transitions over that of first ones of the same period.

    Over a whole run the ratio also contains the model's progress, as first visits come early.
    Periods are weighted by their well-known transitions; NaN where none has both kinds.
    """
    known = later = first = 0.0
    for start in range(0, len(reward), PERIOD):
        gained, counts = reward[start : start + PERIOD], visits[start : start + PERIOD]
        valid = ~np.isnan(gained)
        often, new = gained[valid & (counts >= OFTEN)], gained[valid & (counts == 1)]
        if len(often) and len(new):
            known += len(often)
            later += float(often.sum())
            first += len(often) * float(new.mean())
    return later / first if known and first > 0 else math.nan


def revisits(cells: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return for every row how many ticks had passed since its cell was left, when it was entered.

    Infinite during the first visit to a cell.
    """
    away, left = np.zeros(len(cells)), dict[int, int]()
    crossed = np.flatnonzero(np.diff(cells)) + 1
    for begin, end in itertools.pairwise([0, *crossed.tolist(), len(cells)]):
        cell = int(cells[begin])
        away[begin:end] = begin - left[cell] if cell in left else math.inf
        left[cell] = end
    return away


def reward_above_mean(reward: NDArray[np.float64], chosen: NDArray[np.bool_]) -> float:
    """Return how far the mean reward of chosen rows lies above that of all of the same 1,000 ticks.

    In standard deviations of these; NaN where no period has ten chosen rows.
    """
    above, count = 0.0, 0
    for start in range(0, len(reward), PERIOD):
        gained, some = reward[start : start + PERIOD], chosen[start : start + PERIOD]
        valid = ~np.isnan(gained)
        spread = gained[valid].std() if valid.any() else 0.0
        if (some & valid).sum() >= 10 and spread > 0:
            above += float((gained[some & valid] - gained[valid].mean()).sum() / spread)
            count += int((some & valid).sum())
    return above / count if count else math.nan


def behaviour(actions: NDArray[np.int64]) -> str:
    """Return the class of actions (N, A)."""
    used = (actions != 0).mean(axis=0) >= IN_USE
    forward, aside, turn = (bool(used[axis]) for axis in AXES.values())
    return CLASSES[forward, aside, turn]


def entropies(actions: NDArray[np.int64]) -> dict[str, float]:
    """Return the entropy of the choices in each category, as a share of the random policy's."""
    return {name: bits / most for name, (bits, most) in action_entropies(actions).items()}


def correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Return the correlation of two series where both are finite; NaN where one is constant.

    Rounding does not count as variation: where the whole view flickers, its share is 1 but for the
    last digits.
    """
    known = np.isfinite(a) & np.isfinite(b)
    if known.sum() < 2 or any(x[known].std() <= 1e-5 * np.abs(x[known]).max() for x in (a, b)):
        return math.nan
    return float(np.corrcoef(a[known], b[known])[0, 1])


def change_metrics(run: Run, change_at_s: float, region: str = "teahouse") -> dict[str, float]:
    """Return the response to a change: seconds until a region was entered, and the reward's spike.

    The spike is the highest mean of 10 s within a minute after, in standard deviations of such
    means in the five minutes before.
    """
    changed = int(change_at_s * run.rate)
    inside = np.flatnonzero(run.map.region_of(run.cells[changed:]) == region)
    entered = float(inside[0]) / run.rate if len(inside) else math.inf
    span = int(10 * run.rate)
    before = _means(run.gained[max(0, changed - 30 * span) : changed], span)
    after = _means(run.gained[changed : changed + 6 * span], span)
    spike = math.nan
    if len(before) > 1 and len(after) and before.std() > 0:
        spike = float((after.max() - before.mean()) / before.std())
    return {"entered_after_s": entered, "reward_spike_std": spike}


def _means(values: NDArray[np.float64], span: int) -> NDArray[np.float64]:
    whole = values[: len(values) // span * span].reshape(-1, span)
    means: NDArray[np.float64] = whole[~np.isnan(whole).any(axis=1)].mean(axis=1)
    return means


def measure(run: Run, change_at_s: float | None) -> dict[str, float | str]:
    """Return all metrics of a run, by the names of the table's columns."""
    reward, first, often = run.gained, run.visits == 1, run.visits >= OFTEN
    valid = ~np.isnan(reward)
    at_first = float(reward[valid & first].mean())
    later = float(reward[valid & often].mean()) if (valid & often).any() else math.nan
    ticks, curve = coverage_curve(run)
    end, away = run.rows["action"][-END_TICKS:], revisits(run.cells)
    returned = (away[1:] >= LONG) & (away[1:] < math.inf)
    # A transition is rewarded for the frame at its end.
    flicker = np.append(run.info["flicker_share"][1:], np.nan).astype(np.float64)
    metrics: dict[str, float | str] = {
        "ticks": float(len(run.rows)),
        "coverage": float(curve[-1]),
        "coverage_over_time": float(np.interp(np.arange(len(run.rows)), ticks - 1, curve).mean()),
        "reward_first_visit": at_first,
        "reward_20_visits": later,
        "reward_ratio": later / at_first if at_first > 0 else math.nan,
        "reward_ratio_then": ratio_within_periods(reward, run.visits),
        "reward_drop_std": (at_first - later) / float(reward[valid].std() or math.nan),
        # A transition is rewarded for the cell at its end.
        "reward_new_cell_std": reward_above_mean(reward[:-1], np.isinf(away[1:])),
        "reward_return_std": reward_above_mean(reward[:-1], returned),
        "flicker_correlation": correlation(reward, flicker),
        **{f"time {name}": share for name, share in region_shares(run).items()},
        **{f"entropy {name}": value for name, value in entropies(end).items()},
        "behaviour": behaviour(end),
    }
    if change_at_s is not None:
        metrics |= change_metrics(run, change_at_s)
    return metrics
