from __future__ import annotations

from collections import Counter

import pytest
import torch

from pamiq_lightning.curiosity.slow_features import Reservoir, SlowFeatures


def analysed(rows: torch.Tensor, forget: int = 10_000) -> SlowFeatures:
    analysis = SlowFeatures(rows.shape[1], forget)
    for row in rows:
        analysis.update(row)
    return analysis


def test_slow_features_find_the_slowest_of_mixed_series() -> None:
    rng = torch.Generator().manual_seed(0)
    slow = (torch.arange(2000.0) / 100).sin()
    sources = torch.stack([slow, *torch.randn(4, 2000, generator=rng)], 1)
    mixed = sources @ torch.randn(5, 5, generator=rng)
    found = mixed @ analysed(mixed).solve(3, fastest=2.5)
    assert abs(torch.corrcoef(torch.stack([found[:, 0], slow]))[0, 1]) > 0.98
    assert found.std(dim=0).tolist() == pytest.approx([1.0, 1.0, 1.0], abs=0.05)
    # One of the five is slow.
    assert analysed(mixed).solve(3, fastest=0.1).shape == (5, 1)


def test_slow_features_forget_a_direction_that_was_slow_long_ago() -> None:
    rng = torch.Generator().manual_seed(0)
    slow = 2**0.5 * (torch.arange(3000.0) / 100).sin()
    fast = torch.randn(3000, generator=rng)
    first, then = torch.stack([slow, fast], 1), torch.stack([fast, slow], 1)
    view = analysed(torch.cat([first, then]), forget=300).solve(1, fastest=0.1)
    assert abs(view[1, 0]) > 10 * abs(view[0, 0])


def test_slow_features_are_scaled_without_a_mean_far_from_zero() -> None:
    rng = torch.Generator().manual_seed(0)
    rows = 1000 + torch.randn(3000, 2, generator=rng).cumsum(0) / 30
    found = rows @ analysed(rows).solve(2, fastest=2.0)
    assert found.std(dim=0).tolist() == pytest.approx([1.0, 1.0], abs=0.05)


def test_slow_features_leave_out_constant_directions() -> None:
    rng = torch.Generator().manual_seed(0)
    value = torch.randn(300, generator=rng)
    rows = torch.stack([value, -value, torch.full_like(value, 5.0)], 1)
    assert analysed(rows).solve(2, fastest=3.0).shape == (3, 1)
    assert analysed(torch.ones(300, 3)).solve(2, fastest=3.0).shape == (3, 0)


def test_slow_features_leave_out_the_noise_of_a_long_standstill() -> None:
    rng = torch.Generator().manual_seed(0)
    moving = torch.randn(500, 3, generator=rng)
    still = moving[-1:] + 1e-6 * torch.randn(5000, 3, generator=rng)
    analysis = analysed(moving, forget=200)
    analysis.solve(3, fastest=3.0)
    for row in still:
        analysis.update(row)
    assert analysis.solve(3, fastest=3.0).shape == (3, 0)


def test_reservoir_stores_every_row_with_equal_probability() -> None:
    stored = Counter[float]()
    for seed in range(3000):
        reservoir = Reservoir(1, 1, seed)
        for row in range(3):
            reservoir.add(torch.tensor([float(row)]))
        stored[float(reservoir.rows[0, 0])] += 1
    assert sorted(stored) == [0, 1, 2]
    # A third of 3,000 each; five standard deviations are 129.
    assert all(abs(times - 1000) < 129 for times in stored.values())


def test_reservoir_returns_the_index_of_a_stored_row() -> None:
    reservoir = Reservoir(4, 2, seed=0)
    indices = [reservoir.add(torch.full((2,), float(row))) for row in range(50)]
    assert indices[:4] == [0, 1, 2, 3] and None in indices
    newest = {index: row for row, index in enumerate(indices) if index is not None}
    assert reservoir.rows[:, 0].tolist() == [newest[index] for index in range(4)]
