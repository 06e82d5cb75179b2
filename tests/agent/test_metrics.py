from __future__ import annotations

import json
import math

import numpy as np
import pytest

from agent.metrics import Histogram, LoopMetrics, RewardRecord


def test_percentiles_are_within_two_percent() -> None:
    values = np.random.default_rng(0).lognormal(1.0, 1.0, 20_000)
    histogram = Histogram()
    for value in values:
        histogram.add(float(value))
    for share in (0.5, 0.95, 0.99):
        assert histogram.percentile(share) == pytest.approx(np.quantile(values, share), rel=0.02)
    assert histogram.summary()["max"] == pytest.approx(values.max(), abs=1e-3)


def test_empty_histogram_has_no_percentiles() -> None:
    assert math.isnan(Histogram().percentile(0.5))
    assert Histogram().summary() == {"p50": None, "p95": None, "p99": None, "max": None}


def test_histogram_counts_extreme_durations() -> None:
    histogram = Histogram()
    for value in (0.0, 1e-9, 1e9):
        histogram.add(value)
    assert histogram.count == 3
    assert histogram.percentile(1.0) == pytest.approx(1e5, rel=0.02) or histogram.largest == 1e9


def test_lateness_above_a_tenth_of_the_period_counts_as_missed() -> None:
    metrics = LoopMetrics(period=0.1)
    metrics.begin(deadline=1.0, now=1.009, skipped=0)
    assert metrics.missed == 0
    metrics.begin(deadline=1.1, now=1.111, skipped=0)
    assert metrics.missed == 1
    metrics.begin(deadline=1.5, now=1.5, skipped=3)
    assert metrics.missed == 4


def test_rate_counts_from_the_first_deadline() -> None:
    metrics = LoopMetrics(period=0.1)
    for k in range(20):
        metrics.begin(k * 0.1, k * 0.1, 0)
        metrics.end(k * 0.1, k * 0.1 + 0.01, k * 0.1 + 0.02)
    assert metrics.rate_hz(2.0) == pytest.approx(10.0)


def test_reward_record_has_the_means_of_first_and_last_rollout() -> None:
    record = RewardRecord()
    for rollout in ([1.0, 3.0], [5.0], [10.0, 20.0]):
        for reward in rollout:
            record.add(reward)
        record.end_rollout()
    assert record.summary() == {
        "mean": 39 / 5,
        "first_rollout": 2.0,
        "last_rollout": 15.0,
        "not_finite": 0,
    }


def test_loaded_metrics_continue_as_if_no_time_had_passed() -> None:
    whole, half = LoopMetrics(period=0.1), LoopMetrics(period=0.1)

    def tick(metrics: LoopMetrics, number: int, shift: float) -> None:
        now = number * 0.1 + shift
        metrics.begin(now, now, 0)
        metrics.reward.add(float(number))
        metrics.end(now, now + 0.01, now + 0.02)

    for number in range(20):
        tick(whole, number, 0.0)
    whole.reward.end_rollout()
    whole.begin(2.0, 2.0, 0)
    state = json.loads(json.dumps(whole.state_dict(2.0, 2.01, 2.02)))
    whole.end(2.0, 2.01, 2.02)
    # Another boot, where the clock began elsewhere.
    half.load_state_dict(state, 500.02)
    assert half.ticks == 21
    for number in range(21, 30):
        tick(whole, number, 0.0)
        tick(half, number, 498.0)
    assert half.rate_hz(501.0) == pytest.approx(whole.rate_hz(3.0))
    assert half.reward == whole.reward
    for name in ("tick_ms", "lateness_ms", "latency_ms"):
        ours, theirs = getattr(half, name).summary(), getattr(whole, name).summary()
        assert ours == pytest.approx(theirs, abs=1e-3)


def test_a_reward_that_is_not_finite_is_counted_and_in_no_mean() -> None:
    record = RewardRecord()
    for reward in (1.0, math.nan, math.inf, 3.0):
        record.add(reward)
    record.end_rollout()
    assert record.summary() == {
        "mean": 2.0,
        "first_rollout": 2.0,
        "last_rollout": 2.0,
        "not_finite": 2,
    }
