from __future__ import annotations

import torch
from tensordict import TensorDict

from pamiq_lightning.learners.base import Learner, ReplaySpec
from pamiq_lightning.replay.on_policy import OnPolicyReplay
from tests.synthetic import rollout


class RolloutCollector(Learner):
    """Collects the rollouts that it prepares."""

    def __init__(self) -> None:
        super().__init__()
        self.rollouts: list[TensorDict] = []

    def prepare(self, rollout: TensorDict) -> TensorDict:
        self.rollouts.append(rollout)
        return rollout[:-1]


def test_on_policy_rollouts_begin_with_the_last_row_of_the_one_before() -> None:
    learner = RolloutCollector()
    replay = OnPolicyReplay(ReplaySpec("on_policy", 0, batch_size=4, updates=2))
    for start in (0, 10):
        replay.extend(rollout(10, start))
    times = [batch["time"] for batch in replay.batches(learner)]
    assert [prepared["index"].tolist() for prepared in learner.rollouts] == [
        list(range(10)),
        list(range(9, 20)),
    ]
    # Two passes over rows 0..8, then two over 9..18, each without replacement.
    first = torch.cat(times[:6]).sort().values
    assert first.tolist() == sorted(2 * list(range(9)))
    assert torch.cat(times[6:]).sort().values.tolist() == sorted(2 * list(range(9, 19)))
