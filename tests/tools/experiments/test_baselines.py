"""Coverage of the worlds by gaits."""

from __future__ import annotations

import pytest

from pamiq_lightning.utils.usage_error import UsageError
from tools.experiments.baselines import coverage_at, measurements


def test_coverage_of_a_gait_grows_and_its_seed_decides_it() -> None:
    curve = coverage_at("food_room", "sticky", 3, [20, 200, 600])
    assert 0 < curve[0] < curve[1] < curve[2] < 1
    assert curve == coverage_at("food_room", "sticky", 3, [20, 200, 600])
    assert curve != coverage_at("food_room", "sticky", 4, [20, 200, 600])


def test_a_gait_that_keeps_its_choices_covers_more_than_one_that_does_not() -> None:
    sticky, jitter = (
        sum(coverage_at("food_room", gait, seed, [1500])[0] for seed in range(3))
        for gait in ("sticky", "jitter")
    )
    assert sticky > 1.5 * jitter


def test_measurements_are_those_of_all_marks() -> None:
    found = [m.name for m in measurements(["street"], ["forward"], 2, 30)]
    assert found == [f"street forward 30 ticks: {name}" for name in ("mean", "lowest", "highest")]


def test_an_unknown_gait_is_refused() -> None:
    with pytest.raises(UsageError, match="sticky"):
        list(measurements(["street"], ["stiky"], 1, 10))
