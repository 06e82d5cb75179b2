from __future__ import annotations

import numpy as np
import pytest

from tools.experiments.statistics import estimate, interquartile_mean


def test_interquartile_mean_drops_a_quarter_on_each_side() -> None:
    assert interquartile_mean(np.array([100.0, 1, 2, 3, -50])) == 2
    assert interquartile_mean(np.array([1.0, 2, 6])) == 3
    assert interquartile_mean(np.arange(8.0)) == 3.5


def test_interval_contains_the_truth_at_about_its_confidence() -> None:
    rng = np.random.default_rng(0)
    found = [estimate(rng.normal(3, 1, 20), seed=n) for n in range(200)]
    held = np.mean([low <= 3 <= high for _, low, high in found])
    assert 0.88 < held < 0.99
    assert all(low <= middle <= high for middle, low, high in found)


def test_estimate_of_one_seed_has_no_interval_and_ignores_nan() -> None:
    assert estimate([0.4])[0] == 0.4 and np.isnan(estimate([0.4])[1:]).all()
    assert estimate([0.4, np.nan, 0.6]).middle == pytest.approx(0.5)
    assert np.isnan(estimate([np.nan])).all()
    assert estimate([1.0, np.inf]).middle == np.inf
