from __future__ import annotations

import json
import math
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest
import yaml

from agent.worlds.embedded.lockstep import LockstepWorld
from agent.worlds.embedded.scenes.street import Street
from agent.worlds.embedded.simulation import INFO_NAMES
from pamiq_lightning.exchange.rollouts import Rollout
from pamiq_lightning.trainer.step_log import StepLog
from tests.synthetic import SHAPE, arrays
from tools.experiments.film import RenderError, film, surprising_rows
from tools.experiments.metrics import (
    Run,
    behaviour,
    change_metrics,
    correlation,
    count_visits,
    coverage_curve,
    entropies,
    measure,
    ratio_within_periods,
    read_run,
    region_shares,
    revisits,
    reward_above_mean,
    reward_by_visits,
)
from tools.experiments.regions import map_of

STREET = {"class_path": "agent.worlds.embedded.scenes.street.Street", "init_args": {}}
TICKS = 120


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A random walk in the street, rewarded with 1 / visits of its transition."""
    folder = tmp_path_factory.mktemp("run")
    shape = replace(SHAPE, info_names=INFO_NAMES)
    world, rng = LockstepWorld(Street(), 16, 0, 10.0), np.random.default_rng(1)
    steps = arrays(TICKS)
    steps["info"] = np.zeros((TICKS, len(INFO_NAMES)), np.float32)
    for tick in range(TICKS):
        _, steps["info"][tick] = world.observe()
        steps["action"][tick] = [1, rng.integers(3), rng.integers(3), 0, 0]
        world.act(steps["action"][tick])
    info = dict(zip(INFO_NAMES, steps["info"].T, strict=True))
    visits = count_visits(info["cell"].astype(np.int64), info["heading"], steps["action"])
    steps["reward"][0], steps["reward"][1:] = 0, 1 / visits[:-1]
    StepLog(folder, shape)(Rollout(0, steps, {}))
    (folder / "settings.yaml").write_text(
        yaml.safe_dump({"scene": STREET, "seed": 0, "rate": 10.0})
    )
    assert json.loads(json.dumps(asdict(shape)))
    return read_run(folder)


def test_visits_count_each_transition_from_1() -> None:
    actions = np.zeros((5, 5), np.int64)
    actions[2, 0] = 1
    actions[:, 3] = 1
    cells, headings = np.array([4, 4, 4, 4, 5]), np.array([0, 0.1, 0, 6.2, 0], np.float32)
    assert count_visits(cells, headings, actions).tolist() == [1, 2, 1, 3, 1]


def test_coverage_counts_each_reachable_cell_once(run: Run) -> None:
    ticks, curve = coverage_curve(run)
    known = set(run.cells.tolist()) & set(run.map.reachable.tolist())
    assert curve[-1] == pytest.approx(len(known) / len(run.map.reachable))
    assert (np.diff(curve) >= 0).all() and ticks[0] == 1 and ticks[-1] == TICKS
    assert len(known) > 3


def test_region_shares_of_time_and_area_sum_to_1(run: Run) -> None:
    assert sum(run.map.area_shares().values()) == pytest.approx(1)
    assert sum(region_shares(run).values()) == pytest.approx(1, abs=0.05)
    assert {"teahouse", "shrine", "east alley", "west alley"} < set(run.map.area_shares())


def test_cells_behind_a_door_that_opens_later_are_reachable() -> None:
    shut = {"shutter_open": False}
    opens = {**shut, "shutter_toggles_at_s": [5.0]}
    closed, open_later = (
        map_of({**STREET, "init_args": arguments}).area_shares() for arguments in (shut, opens)
    )
    assert "teahouse" not in closed and open_later["teahouse"] > 0


def test_reward_by_visits_shows_a_reward_that_falls_with_visits(run: Run) -> None:
    counts, means = reward_by_visits(run)
    assert counts[:2] == [1, 2] and means[:2] == [1.0, 0.5]
    metrics = measure(run, None)
    assert metrics["reward_first_visit"] == 1.0
    assert 0 < metrics["coverage_over_time"] < metrics["coverage"]
    assert metrics["behaviour"] == "all three" and metrics["entropy vertical"] == 0.0


def test_reward_ratio_is_taken_within_periods() -> None:
    # New transitions gain twice as much at any time, and all gain ten times as much later on.
    visits = np.tile([1, 20, 1, 20], 1000)
    reward = np.tile([2.0, 1.0, 2.0, 1.0], 1000)
    reward[2000:] *= 10
    visits[:1000] = 1
    assert ratio_within_periods(reward, visits) == pytest.approx(0.5)
    reward[::7] = np.nan
    assert ratio_within_periods(reward, visits) == pytest.approx(0.5, abs=0.1)
    assert math.isnan(ratio_within_periods(reward, np.ones_like(visits)))
    assert math.isnan(ratio_within_periods(-reward, visits))


def test_revisits_give_the_ticks_since_a_cell_was_left() -> None:
    away = revisits(np.array([5, 5, 7, 5, 8, 8, 7]))
    assert away.tolist() == [math.inf, math.inf, math.inf, 1, math.inf, math.inf, 3]


def test_reward_above_mean_is_in_standard_deviations_of_its_period() -> None:
    reward = np.concatenate([np.tile([0.0, 2.0], 500), 100 + np.tile([0.0, 0.0, 0.0, 4.0], 250)])
    chosen = np.zeros(2000, bool)
    chosen[1:1000:2] = True
    assert reward_above_mean(reward, chosen) == pytest.approx(1.0)
    # Of the second thousand, whose mean is 101 and whose deviation 3^0.5, a hundred at 100.
    chosen[1000:1400:4] = True
    assert reward_above_mean(reward, chosen) == pytest.approx((500 - 100 / 3**0.5) / 600)
    reward[1:500:2] = np.nan
    assert 0 < reward_above_mean(reward, chosen) < math.inf
    assert math.isnan(reward_above_mean(reward, np.arange(2000) % 200 == 0))


@pytest.mark.parametrize(
    "used, name",
    [
        ((), "still"),
        ((0,), "forward/back only"),
        ((1,), "strafing only"),
        ((2,), "turning only"),
        ((0, 1), "without turning"),
        ((0, 2), "without strafing"),
        ((1, 2), "without forward/back"),
        ((0, 1, 2), "all three"),
    ],
)
def test_behaviour_class_follows_the_axes_in_use(used: tuple[int, ...], name: str) -> None:
    actions = np.zeros((100, 5), np.int64)
    actions[:5] = 1
    for axis in used:
        actions[:20, axis] = 2
    assert behaviour(actions) == name


def test_entropies_are_shares_of_the_random_policy_s() -> None:
    actions = np.zeros((90, 5), np.int64)
    actions[:, 0] = np.arange(90) % 3
    actions[:45, 4] = 1
    found = entropies(actions)
    assert found["vertical"] == pytest.approx(1) and found["run"] == pytest.approx(1)
    assert found["horizontal"] == 0


def test_correlation_ignores_nan_and_rounding() -> None:
    a = np.array([1.0, 2.0, np.nan, 3.0])
    assert correlation(a, 2 * a) == pytest.approx(1)
    assert math.isnan(correlation(a, np.ones(4)))
    # The share of a view that flickers everywhere is 1 but for rounding.
    assert math.isnan(correlation(a, 1 + 1e-6 * np.array([1.0, 2.0, 1.0, 3.0])))


def test_change_metrics_give_the_spike_and_the_time_of_entering(run: Run) -> None:
    rng, rows = np.random.default_rng(0), 6000
    gained = rng.normal(0, 1, rows)
    gained[4000:4100] += 5
    cells = np.full(rows, run.cells[0])
    teahouse = run.map.reachable[run.map.regions == "teahouse"][0]
    cells[4500:] = teahouse
    changed: dict[str, Any] = change_metrics(replace(run, cells=cells, gained=gained), 400.0)
    assert changed["entered_after_s"] == 50.0 and changed["reward_spike_std"] > 10
    never = change_metrics(replace(run, cells=cells[:4400], gained=gained[:4400]), 400.0)
    assert never["entered_after_s"] == math.inf


def test_film_refuses_a_world_that_does_not_repeat_the_run(run: Run) -> None:
    most, least = surprising_rows(run, count=2)
    assert run.gained[most[0] - 1] >= run.gained[least[0] - 1]
    assert abs(most[0] - most[1]) >= 50
    assert film(run, seed=0).size[0] > 400
    elsewhere = {**run.info, "x": run.info["x"] + 1}
    with pytest.raises(RenderError, match="elsewhere"):
        film(replace(run, info=elsewhere), seed=0)
