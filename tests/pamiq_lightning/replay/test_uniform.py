from __future__ import annotations

import math

import pytest
import torch
from tensordict import TensorDict

from pamiq_lightning.learners.base import Learner, ReplaySpec
from pamiq_lightning.replay.uniform import UniformReplay
from pamiq_lightning.utils.instantiate import build
from tests.synthetic import PPO

LEARNER = build(Learner, PPO)


def uniform(capacity: int, turnover: float = 10.0) -> UniformReplay:
    """Return a replay buffer whose round of batches holds every row."""
    spec = ReplaySpec("uniform", capacity, batch_size=50 * capacity, updates=1, turnover=turnover)
    return UniformReplay(spec)


def numbered(start: int, rows: int) -> TensorDict:
    """Return rows that carry only their number."""
    return TensorDict(
        {
            "n": torch.arange(start, start + rows),
            "index": torch.arange(start, start + rows),
            "valid": torch.ones(rows, dtype=torch.bool),
        },
        [rows],
    )


def content(replay: UniformReplay) -> set[int]:
    (batch,) = replay.batches(LEARNER)
    return set(batch["n"].tolist())


def test_uniform_appends_until_full_then_replaces_one_row_by_one() -> None:
    replay = uniform(10, turnover=1.0)
    replay.extend(numbered(0, 8))
    assert content(replay) == set(range(8))
    # Two of six more rows still fit; at turnover 1 all others are stored too.
    replay.extend(numbered(8, 6))
    stored = content(replay)
    assert len(stored) == len(replay) == 10
    assert set(range(10, 14)) <= stored


def test_uniform_replaces_every_row_within_about_turnover_times_capacity() -> None:
    replay = uniform(50, turnover=10.0)
    assert replay.keep_probability == pytest.approx((math.log(50) + 0.577) / 10)
    replay.extend(numbered(0, 50))
    oldest, added = set(range(50)), 0
    while oldest & content(replay):
        replay.extend(numbered(100 + added, 10))
        added += 10
    # The expected number is turnover * capacity = 500.
    assert 150 < added < 1500


def test_uniform_never_stores_invalid_rows() -> None:
    replay = uniform(10)
    rows = numbered(0, 6)
    rows["valid"][2:4] = False
    replay.extend(rows)
    assert content(replay) == {0, 1, 4, 5}


def test_uniform_takes_a_rollout_larger_than_its_capacity() -> None:
    replay = uniform(10, turnover=1.0)
    replay.extend(numbered(0, 50))
    assert len(replay) == 10
