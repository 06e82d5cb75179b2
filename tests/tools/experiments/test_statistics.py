from __future__ import annotations

import numpy as np
import pytest

from tools.experiments.statistics import estimate, interquartile_mean


def test_by_hand() -> None:
    assert interquartile_mean(np.array([100.0, 1, 2, 3, -50])) == 2
    assert interquartile_mean(np.array([1.0, 2, 6])) == 3
    assert interquartile_mean(np.arange(8.0)) == 3.5


def test_the_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    found = [estimate(rng.normal(3, 1, 20), seed=n) for n in range(200)]
    held = np.mean([low <= 3 <= high for _, low, high in found])
    assert 0.88 < held < 0.99
    assert all(low <= middle <= high for middle, low, high in found)


def test_one_seed_has_no_interval_and_unknown_ones_do_not_count() -> None:
    assert estimate([0.4])[0] == 0.4 and np.isnan(estimate([0.4])[1:]).all()
    assert estimate([0.4, np.nan, 0.6]).middle == pytest.approx(0.5)
    assert np.isnan(estimate([np.nan])).all()
    assert estimate([1.0, np.inf]).middle == np.inf
