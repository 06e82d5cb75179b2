from __future__ import annotations

import torch

from pamiq_lightning.learners.base import Learner, ReplaySpec
from pamiq_lightning.replay.sequence import SequenceReplay, trajectory_ids
from pamiq_lightning.utils.instantiate import build
from tests.synthetic import PPO, rollout

LEARNER = build(Learner, PPO)


def sequences(
    capacity: int, batch_size: int, updates: int, length: int, max_version_lag: int = 16
) -> SequenceReplay:
    return SequenceReplay(
        ReplaySpec("sequence", capacity, batch_size, updates, length, max_version_lag)
    )


def test_trajectories_break_at_first_rows_gaps_and_invalid_rows() -> None:
    steps = rollout(8)
    steps["is_first"][3] = True
    steps["index"][6:] += 5
    assert trajectory_ids(steps).tolist() == [0, 0, 0, 1, 1, 1, 2, 2]


def test_sequences_span_rollouts_and_never_cross_a_break() -> None:
    replay = sequences(64, batch_size=5, updates=40, length=6)
    for start in range(0, 160, 16):
        steps = rollout(16, start)
        steps["is_first"][steps["index"] % 40 == 33] = True
        replay.extend(steps)
    across = 0
    for batch in replay.batches(LEARNER):
        assert batch.shape == (5, 6)
        assert (batch["time"].diff(dim=1) == 1).all()
        assert not batch["is_first"][:, 1:].any()
        assert batch["time"].min() >= 160 - 64
        across += int((batch["time"][:, 0] // 16 != batch["time"][:, -1] // 16).sum())
    assert across > 0


def test_sequences_start_anywhere_with_equal_probability() -> None:
    replay = sequences(200, batch_size=50, updates=40, length=10)
    steps = rollout(200)
    steps["is_first"][12] = True
    replay.extend(steps)
    starts = torch.cat([batch["time"][:, 0] for batch in replay.batches(LEARNER)])
    # Three starts before the break, 179 behind it.
    assert 0.005 < (starts < 12).float().mean() < 0.04


def test_sequences_take_a_rollout_larger_than_the_capacity() -> None:
    replay = sequences(12, batch_size=4, updates=2, length=6)
    replay.extend(rollout(50))
    assert min(float(batch["time"].min()) for batch in replay.batches(LEARNER)) >= 38


def test_sequences_leave_out_rows_of_an_old_encoder() -> None:
    replay = sequences(64, batch_size=4, updates=30, length=4, max_version_lag=2)
    for number in range(4):
        replay.extend(rollout(16, 16 * number, version=number + 1))
    versions = torch.cat([batch["versions"][..., 0] for batch in replay.batches(LEARNER)])
    assert versions.min() == 2
    assert versions.max() == 4


def test_sequences_yield_no_batch_while_no_trajectory_is_long_enough() -> None:
    replay = sequences(64, batch_size=4, updates=3, length=20)
    assert list(replay.batches(LEARNER)) == []
    replay.extend(rollout(16))
    assert list(replay.batches(LEARNER)) == []
    replay.extend(rollout(16, 16))
    assert len(list(replay.batches(LEARNER))) == 3
