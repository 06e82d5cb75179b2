"""What one run of an experiment comes to, from its track."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray

from agent.actions import ACTIONS
from agent.run_dir import SETTINGS
from pamiq_lightning.curiosity.count_oracle import HEADINGS, LOOK, VERTICAL
from pamiq_lightning.step import is_transition
from pamiq_lightning.trainer.step_log import load_step_log
from tools.experiments.regions import Map, map_of

OFTEN = 20
"""Visits after which a transition counts as well known."""
PERIOD = 1000
"""Ticks within which rewards are compared as those of one time of a life."""
LONG = 1000
"""Ticks of absence after which coming back to a cell is a return."""
END_TICKS = 1000
"""The last ticks of a run, by which its behaviour is classed."""
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
"""By the use of `AXES`: the classes that ML Shukai's P-AMI<Q> (2024) counted its runs in."""
CURVE_POINTS = 100


@dataclass(frozen=True)
class Run:
    """A run, read.

    Attributes:
        rows: of its track.
        info: ground truth and rewards beside by name, each (N,).
        cells: 1 m cell of every row.
        visits: how often the transition that begins at a row had been made then, this one included.
        gained: reward of the transition that begins at a row; NaN where there is none.
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
        StepLogError: it has no track.
    """
    rows, names = load_step_log(folder)
    settings = yaml.safe_load((folder / SETTINGS).read_text(encoding="utf-8"))
    info = {name: rows["info"][:, scene] for scene, name in enumerate(names)}
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
    """Return what the transition that begins at every row was rewarded with."""
    gained = np.full(len(rows), np.nan)
    valid = is_transition({key: rows[key] for key in ("index", "valid", "is_first")})
    gained[:-1][valid] = rows["reward"][1:][valid]
    return gained


def count_visits(
    cells: NDArray[np.int64], headings: NDArray[np.float32], actions: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return how often the transition of every row had been made by then: 1 for the first time."""
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
    """Return the mean reward of transitions by how often they had been made: 1, 2, 3-4, 5-8 ..."""
    valid = ~np.isnan(run.gained)
    powers = np.ceil(np.log2(run.visits[valid])).astype(int)
    known = sorted(set(powers.tolist()))
    return [2**p for p in known], [float(run.gained[valid][powers == p].mean()) for p in known]


def ratio_of_one_time(reward: NDArray[np.float64], visits: NDArray[np.int64]) -> float:
    """Return the mean reward of well-known transitions by that of first ones of the same period.

    Over a whole life the ratio also tells how the model grew up: first visits come early in it.
    Periods count by how many well-known transitions they have; NaN where none has both kinds.
    """
    known = later = first = 0.0
    for start in range(0, len(reward), PERIOD):
        gained, seen = reward[start : start + PERIOD], visits[start : start + PERIOD]
        valid = ~np.isnan(gained)
        often, new = gained[valid & (seen >= OFTEN)], gained[valid & (seen == 1)]
        if len(often) and len(new):
            known += len(often)
            later += float(often.sum())
            first += len(often) * float(new.mean())
    return later / first if known and first > 0 else math.nan


def absences(cells: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return for how many ticks one had been away from the cell of every row when it was entered.

    Infinite while one is in a cell for the first time.
    """
    away, left = np.zeros(len(cells)), dict[int, int]()
    crossed = np.flatnonzero(np.diff(cells)) + 1
    for begin, end in itertools.pairwise([0, *crossed.tolist(), len(cells)]):
        cell = int(cells[begin])
        away[begin:end] = begin - left[cell] if cell in left else math.inf
        left[cell] = end
    return away


def reward_there(reward: NDArray[np.float64], there: NDArray[np.bool_]) -> float:
    """Return how far the mean reward of some rows lies above that of all of the same 1,000 ticks.

    In standard deviations of these; NaN where no period has ten of such rows.
    """
    above, count = 0.0, 0
    for start in range(0, len(reward), PERIOD):
        gained, some = reward[start : start + PERIOD], there[start : start + PERIOD]
        valid = ~np.isnan(gained)
        spread = gained[valid].std() if valid.any() else 0.0
        if (some & valid).sum() >= 10 and spread > 0:
            above += float((gained[some & valid] - gained[valid].mean()).sum() / spread)
            count += int((some & valid).sum())
    return above / count if count else math.nan


def behaviour(actions: NDArray[np.int64]) -> str:
    """Return the class of what was done (N, A)."""
    used = (actions != 0).mean(axis=0) >= IN_USE
    forward, aside, turn = (bool(used[scene]) for scene in AXES.values())
    return CLASSES[forward, aside, turn]


def entropies(actions: NDArray[np.int64]) -> dict[str, float]:
    """Return the entropy of the choices made in each category, as a share of chance's."""
    found = {}
    for scene, axis in enumerate(ACTIONS):
        counts = np.bincount(actions[:, scene], minlength=len(axis.values))
        share = counts[counts > 0] / counts.sum()
        found[axis.name] = float(-(share * np.log(share)).sum() / math.log(len(axis.values)))
    return found


def correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Return the correlation of two series where both are known; NaN where one never varies.

    Rounding is no variation: where the whole view flickers, its share is 1 but for the last digits.
    """
    known = np.isfinite(a) & np.isfinite(b)
    if known.sum() < 2 or any(x[known].std() <= 1e-5 * np.abs(x[known]).max() for x in (a, b)):
        return math.nan
    return float(np.corrcoef(a[known], b[known])[0, 1])


def change_figures(run: Run, change_at_s: float, region: str = "teahouse") -> dict[str, float]:
    """Return what became of a change: seconds until the region was entered, and the reward's spike.

    The spike is the highest mean of 10 s within a minute after, in standard deviations of such
    means in the five minutes before.
    """
    begun = int(change_at_s * run.rate)
    there = np.flatnonzero(run.map.region_of(run.cells[begun:]) == region)
    entered = float(there[0]) / run.rate if len(there) else math.inf
    span = int(10 * run.rate)
    before = _means(run.gained[max(0, begun - 30 * span) : begun], span)
    after = _means(run.gained[begun : begun + 6 * span], span)
    spike = math.nan
    if len(before) > 1 and len(after) and before.std() > 0:
        spike = float((after.max() - before.mean()) / before.std())
    return {"entered_after_s": entered, "reward_spike_std": spike}


def _means(values: NDArray[np.float64], span: int) -> NDArray[np.float64]:
    whole = values[: len(values) // span * span].reshape(-1, span)
    means: NDArray[np.float64] = whole[~np.isnan(whole).any(axis=1)].mean(axis=1)
    return means


def measure(run: Run, change_at_s: float | None) -> dict[str, float | str]:
    """Return all figures of a run, by the names of the table's columns."""
    reward, first, often = run.gained, run.visits == 1, run.visits >= OFTEN
    valid = ~np.isnan(reward)
    at_first = float(reward[valid & first].mean())
    later = float(reward[valid & often].mean()) if (valid & often).any() else math.nan
    ticks, curve = coverage_curve(run)
    end, away = run.rows["action"][-END_TICKS:], absences(run.cells)
    # What the body sees when the transition ends is what its reward is about.
    flicker = np.append(run.info["flicker_share"][1:], np.nan).astype(np.float64)
    figures: dict[str, float | str] = {
        "ticks": float(len(run.rows)),
        "coverage": float(curve[-1]),
        "coverage_over_time": float(np.interp(np.arange(len(run.rows)), ticks - 1, curve).mean()),
        "reward_first_visit": at_first,
        "reward_20_visits": later,
        "reward_ratio": later / at_first if at_first > 0 else math.nan,
        "reward_ratio_then": ratio_of_one_time(reward, run.visits),
        "reward_drop_std": (at_first - later) / float(reward[valid].std() or math.nan),
        # What a transition is rewarded for is where it leads.
        "reward_new_cell_std": reward_there(reward[:-1], np.isinf(away[1:])),
        "reward_return_std": reward_there(reward[:-1], (away[1:] >= LONG) & (away[1:] < math.inf)),
        "flicker_correlation": correlation(reward, flicker),
        **{f"time {name}": share for name, share in region_shares(run).items()},
        **{f"entropy {name}": value for name, value in entropies(end).items()},
        "behaviour": behaviour(end),
    }
    if change_at_s is not None:
        figures |= change_figures(run, change_at_s)
    return figures
