from __future__ import annotations

import math

import pytest
import torch

from pamiq_lightning.curiosity.base import Evidence
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
    return PredictionError().reward(Evidence(latent, latent, prediction))


def test_by_hand() -> None:
    expected = 0.5 * math.log(2 * math.pi) + math.log(2) + 0.5 * (3 / 2) ** 2
    assert reward(error=3.0, std=2.0) == pytest.approx(expected)


def test_more_surprise_is_more_reward() -> None:
    assert reward(0.0, 1.0) < reward(1.0, 1.0) < reward(2.0, 1.0)
