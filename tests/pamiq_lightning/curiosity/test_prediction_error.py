from __future__ import annotations

import math

import pytest
import torch

from pamiq_lightning.curiosity.base import RewardInputs
from pamiq_lightning.curiosity.prediction_error import PredictionError
from pamiq_lightning.nets.forward_dynamics import Prediction


def reward(error: float, std: float) -> float:
    latent = torch.zeros(4, 8)
    prediction = Prediction(
        mean=torch.full((1, 4, 8), error),
        log_var=torch.full((1, 4, 8), 2 * math.log(std)),
        action_logits=torch.zeros(1, 13),
        reward=torch.zeros(1),
    )
    return PredictionError().reward(RewardInputs(latent, latent, prediction))


def test_prediction_error_is_the_negative_log_likelihood() -> None:
    expected = 0.5 * math.log(2 * math.pi) + math.log(2) + 0.5 * (3 / 2) ** 2
    assert reward(error=3.0, std=2.0) == pytest.approx(expected)


def test_a_larger_error_is_a_larger_reward() -> None:
    assert reward(0.0, 1.0) < reward(1.0, 1.0) < reward(2.0, 1.0)


def test_earlier_imaginations_weigh_less() -> None:
    latent, stds = torch.zeros(4, 8), (1.0, 2.0, 4.0)
    prediction = Prediction(
        mean=torch.zeros(3, 4, 8),
        log_var=torch.stack([torch.full((4, 8), 2 * math.log(std)) for std in stds]),
        action_logits=torch.zeros(3, 13),
        reward=torch.zeros(3),
    )
    inputs = RewardInputs(latent, latent, prediction)
    nll = [0.5 * math.log(2 * math.pi) + math.log(std) for std in stds]
    weights = [1, 2 / 3, 4 / 9]
    expected = sum(w * n for w, n in zip(weights, nll, strict=True)) / sum(weights)
    assert PredictionError(imaginations=3).reward(inputs) == pytest.approx(expected)
    # A shorter horizon reads the newest imaginations.
    assert PredictionError().reward(inputs) == pytest.approx(nll[0])
    # Soon after a reset not all are in flight.
    early = Prediction(*(part[:2] for part in prediction[:4]))
    expected = (nll[0] + nll[1] * 2 / 3) / (5 / 3)
    assert PredictionError(imaginations=3).reward(
        RewardInputs(latent, latent, early)
    ) == pytest.approx(expected)


def test_zero_imaginations_are_refused() -> None:
    with pytest.raises(ValueError, match="imaginations"):
        PredictionError(imaginations=0)
