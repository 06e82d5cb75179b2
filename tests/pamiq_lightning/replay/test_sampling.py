from __future__ import annotations

import math

import pytest
import torch
from tensordict import TensorDict

from pamiq_lightning.learners.base import Learner, ReplaySpec
from pamiq_lightning.replay.sampling import (
    OnPolicyReplay,
    SequenceReplay,
    UniformReplay,
    trace_ids,
    training_round,
)
from pamiq_lightning.utils.instantiate import build
from tests.synthetic import IJEPA, PPO, rollout

ANY = build(Learner, PPO)


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
    return set(replay._buffer[:]["n"].tolist())


def test_rows_are_appended_until_full_then_replaced_one_for_one() -> None:
    replay = UniformReplay(
        ReplaySpec("uniform", capacity=10, batch_size=4, updates=2, turnover=1.0)
    )
    replay.add(numbered(0, 8))
    assert content(replay) == set(range(8))
    # Of six more, two still fit; at turnover 1 all others are stored too.
    replay.add(numbered(8, 6))
    kept = content(replay)
    assert len(kept) == len(replay) == 10
    assert set(range(10, 14)) <= kept


def test_rows_survive_as_long_as_was_said() -> None:
    memory = ReplaySpec("uniform", capacity=50, batch_size=4, updates=1, turnover=10.0)
    replay = UniformReplay(memory)
    assert replay.keep_probability == pytest.approx((math.log(50) + 0.577) / 10)
    replay.add(numbered(0, 50))
    oldest, added = set(range(50)), 0
    while oldest & content(replay):
        replay.add(numbered(100 + added, 10))
        added += 10
    # The last of today's rows is expected to go after turnover * capacity = 500 new ones.
    assert 150 < added < 1500


def test_unsound_rows_are_never_stored() -> None:
    replay = UniformReplay(ReplaySpec("uniform", capacity=10, batch_size=4, updates=1))
    rows = numbered(0, 6)
    rows["valid"][2:4] = False
    replay.add(rows)
    assert content(replay) == {0, 1, 4, 5}


def test_traces_break_at_first_gap_and_invalid() -> None:
    steps = rollout(8)
    steps["is_first"][3] = True
    steps["index"][6:] += 5
    assert trace_ids(steps).tolist() == [0, 0, 0, 1, 1, 1, 2, 2]


def test_slices_are_unbroken_across_rollouts_and_never_cross_a_break() -> None:
    memory = ReplaySpec("sequence", capacity=64, batch_size=5, updates=40, length=6)
    replay = SequenceReplay(memory)
    for start in range(0, 160, 16):
        steps = rollout(16, start)
        steps["is_first"][steps["index"] % 40 == 33] = True
        replay.add(steps)
    across = 0
    for batch in replay.batches(ANY):
        assert batch.shape == (5, 6)
        assert (batch["time"].diff(dim=1) == 1).all()
        assert not batch["is_first"][:, 1:].any()
        assert batch["time"].min() >= 160 - 64
        across += int((batch["time"][:, 0] // 16 != batch["time"][:, -1] // 16).sum())
    assert across > 0


def test_every_start_is_equally_likely_whatever_the_traces() -> None:
    replay = SequenceReplay(
        ReplaySpec("sequence", capacity=200, batch_size=50, updates=40, length=10)
    )
    steps = rollout(200)
    steps["is_first"][12] = True
    replay.add(steps)
    starts = torch.cat([batch["time"][:, 0] for batch in replay.batches(ANY)])
    # Three starts before the break, 179 behind it.
    assert 0.005 < (starts < 12).float().mean() < 0.04


def test_small_stores_take_large_rollouts() -> None:
    rows = UniformReplay(ReplaySpec("uniform", capacity=10, batch_size=4, updates=1, turnover=1.0))
    rows.add(numbered(0, 50))
    assert len(rows) == 10
    slices = SequenceReplay(ReplaySpec("sequence", capacity=12, batch_size=4, updates=2, length=6))
    slices.add(rollout(50))
    assert min(float(b["time"].min()) for b in slices.batches(ANY)) >= 38


def test_rows_of_an_old_encoder_are_not_sampled() -> None:
    memory = ReplaySpec(
        "sequence", capacity=64, batch_size=4, updates=30, length=4, max_version_lag=2
    )
    replay = SequenceReplay(memory)
    for number in range(4):
        replay.add(rollout(16, 16 * number, version=number + 1))
    seen = torch.cat([batch["versions"][..., 0] for batch in replay.batches(ANY)])
    assert seen.min() == 2
    assert seen.max() == 4


def test_no_batch_while_no_trace_is_long_enough() -> None:
    replay = SequenceReplay(ReplaySpec("sequence", capacity=64, batch_size=4, updates=3, length=20))
    assert list(replay.batches(ANY)) == []
    replay.add(rollout(16))
    assert list(replay.batches(ANY)) == []
    replay.add(rollout(16, 16))
    assert len(list(replay.batches(ANY))) == 3


class Checkpointer(Learner):
    """Keeps the windows it is asked to prepare."""

    def __init__(self) -> None:
        super().__init__()
        self.rollouts: list[TensorDict] = []

    def prepare(self, rollout: TensorDict) -> TensorDict:
        self.rollouts.append(rollout)
        return rollout[:-1]


def test_rollouts_begin_with_the_last_row_of_the_one_before() -> None:
    checkpointer = Checkpointer()
    replay = OnPolicyReplay(ReplaySpec("on_policy", 0, batch_size=4, updates=2))
    for start in (0, 10):
        replay.add(rollout(10, start))
    times = [batch["time"] for batch in replay.batches(checkpointer)]
    assert [w["index"].tolist() for w in checkpointer.rollouts] == [
        list(range(10)),
        list(range(9, 20)),
    ]
    # Two passes over rows 0..8, then two over 9..18, each without replacement.
    first = torch.cat(times[:6]).sort().values
    assert first.tolist() == sorted(2 * list(range(9)))
    assert torch.cat(times[6:]).sort().values.tolist() == sorted(2 * list(range(9, 19)))


def test_a_missing_key_is_named() -> None:
    encoder = build(Learner, IJEPA)
    replay = UniformReplay(encoder.replay)
    with pytest.raises(KeyError, match="frame"):
        list(training_round(encoder, replay, [rollout(4).exclude("frame")]))
