from __future__ import annotations

import io
import math
from collections import Counter
from typing import Any

import pytest
import torch

from pamiq_lightning.checkpoint.files import value_bytes
from pamiq_lightning.curiosity.base import Curiosity, RewardInputs
from pamiq_lightning.curiosity.count_oracle import CountOracle, heading_bin
from pamiq_lightning.curiosity.prediction_error import PredictionError
from pamiq_lightning.curiosity.shuffled import Shuffled
from pamiq_lightning.nets.forward_dynamics import Prediction
from pamiq_lightning.utils.usage_error import UsageError

LATENT = torch.zeros(4, 8)
PREDICTION = Prediction(
    torch.zeros(1, 4, 8), torch.zeros(1, 4, 8), torch.zeros(1, 13), torch.zeros(1)
)


class Counting(Curiosity):
    """Rewards the n-th transition with n."""

    def __init__(self) -> None:
        self.count = 0

    def reward(self, inputs: RewardInputs) -> float:
        self.count += 1
        return float(self.count)

    def state_dict(self) -> dict[str, Any]:
        return {"count": self.count}

    def load_state_dict(self, state: Any) -> None:
        self.count = state["count"]


COUNTING = {"class_path": f"{__name__}.Counting"}


def step(
    cell: int = 0, heading: float = 0.0, vertical: int = 0, look: int = 0, jump: int = 0
) -> RewardInputs:
    action = torch.tensor([vertical, 0, look, jump, 0])
    info = {"cell": float(cell), "heading": heading}
    return RewardInputs(LATENT, LATENT, PREDICTION, action, info)


def test_heading_bins_are_eighths_of_the_circle() -> None:
    eighth = math.tau / 8
    assert [heading_bin(n * eighth) for n in range(-4, 9)] == [
        4,
        5,
        6,
        7,
        0,
        1,
        2,
        3,
        4,
        5,
        6,
        7,
        0,
    ]
    assert heading_bin(0.49 * eighth) == heading_bin(-0.49 * eighth) == 0
    assert heading_bin(0.51 * eighth) == 1


def test_count_oracle_rewards_one_over_the_root_of_the_count() -> None:
    count = CountOracle()
    assert [count.reward(step()) for _ in range(4)] == pytest.approx([1, 2**-0.5, 3**-0.5, 0.5])
    # Jump is not counted; cell, heading, Vertical and LookHorizontal are.
    assert count.reward(step(jump=1)) == pytest.approx(5**-0.5)
    for other in (step(cell=1), step(heading=2.0), step(vertical=1), step(look=2)):
        assert count.reward(other) == 1


def test_count_oracle_resumes_where_it_was_saved() -> None:
    count, restored = CountOracle(), CountOracle()
    for cell in (1, 1, 2):
        count.reward(step(cell=cell))
    content = value_bytes(count.state_dict())
    assert len(content) < CountOracle.state_bytes
    restored.load_state_dict(torch.load(io.BytesIO(content), weights_only=True))
    for cell in (1, 2, 3):
        assert restored.reward(step(cell=cell)) == count.reward(step(cell=cell))


def test_count_oracle_refuses_inputs_without_ground_truth() -> None:
    with pytest.raises(ValueError, match="ground truth"):
        CountOracle().reward(RewardInputs(LATENT, LATENT, PREDICTION))


def test_shuffled_gives_each_value_once_and_later() -> None:
    shuffled = Shuffled(COUNTING, span=10, seed=1)
    first = [shuffled.reward(step()) for _ in range(10)]
    assert all(value <= at for at, value in enumerate(first, start=1))
    values = [shuffled.reward(step()) for _ in range(500)]
    assert max(Counter(values).values()) == 1
    delays = [at - value for at, value in enumerate(values, start=11)]
    assert min(delays) > 0
    assert 7 < sum(delays) / len(delays) < 13


def test_shuffled_resumes_where_it_was_saved() -> None:
    one, other = Shuffled(COUNTING, span=5, seed=1), Shuffled(COUNTING, span=5, seed=2)
    for _ in range(8):
        one.reward(step())
    other.load_state_dict(one.state_dict())
    assert [one.reward(step()) for _ in range(20)] == [other.reward(step()) for _ in range(20)]


def test_shuffled_requires_what_its_inner_reward_requires() -> None:
    path = "pamiq_lightning.curiosity"
    assert Shuffled({"class_path": f"{path}.rnd.RND"}).aux_heads == ("novelty",)
    assert Shuffled({"class_path": f"{path}.count_oracle.CountOracle"}).info_keys == (
        "cell",
        "heading",
    )
    spec = {"class_path": f"{path}.prediction_error.PredictionError"}
    assert Shuffled({**spec, "init_args": {"imaginations": 3}}).horizon == 3
    with pytest.raises(UsageError, match="imagination"):
        Shuffled({**spec, "init_args": {"imagination": 3}})
    with pytest.raises(ValueError, match="span"):
        Shuffled(COUNTING, span=1)


def test_a_reward_without_state_refuses_the_state_of_another() -> None:
    assert PredictionError().state_dict() == {}
    PredictionError().load_state_dict({})
    with pytest.raises(KeyError, match="counts"):
        PredictionError().load_state_dict(CountOracle().state_dict())
