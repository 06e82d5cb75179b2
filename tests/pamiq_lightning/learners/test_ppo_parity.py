"""Stored numbers, made once in float64 with numpy alone, from formulas unlike the ones tested.

Advantages: A_t = sum over k = t .. end of (gamma lambda)^(k-t) (r_{k+1} + gamma V_{k+1} - V_k),
every sum written out, the end being the last transition before an invalid one; 0 where t -> t+1
itself is invalid.

Loss: probabilities by exp(logit) / sum, category by category; ratio = their product now over
exp(log_prob); advantages z = (A - mean) / std with n - 1; for each row min(ratio z, ratio held
within 0.8 and 1.2 times z); 0.5 mean (V - target)^2; entropy -sum p ln p; kl mean (ratio - 1 -
ln ratio).
"""

from __future__ import annotations

import pytest
import torch
from tensordict import TensorDict
from torch import Tensor

from pamiq_lightning.learners.ppo import PPO
from pamiq_lightning.nets.actor_critic import ActorCritic, ActorCriticOutput
from pamiq_lightning.step import NO_ACTION


def test_advantages_equal_the_stored_ones() -> None:
    learner = PPO((1, 1), (1, 1), gamma=0.97, gae_lambda=0.9)
    value = torch.tensor([0.5, -1.25, 2.0, 0.75, -0.5, 1.5, 0.25, -2.0, 1.0])
    reward = torch.tensor([9.0, 1.0, -0.5, 0.25, 3.0, -1.0, 0.0, 2.0, -0.75])
    valid = torch.tensor([True, True, True, False, True, True, True, True])
    stored = [0.8565930975, 1.7973575, -1.0225, 0.0, 1.1894497197, 0.26855638, 1.74806, 2.22]
    advantage = learner.advantages(value, reward, valid)
    torch.testing.assert_close(advantage, torch.tensor(stored), atol=1e-6, rtol=1e-6)


class Said(ActorCritic):
    """Says the same whatever it sees."""

    def __init__(self, logits: Tensor, value: Tensor) -> None:
        super().__init__((1, 1), (1, 1), (3, 2), dim=1, depth=1, mix_features=1)
        self.output = ActorCriticOutput(logits, value)

    def forward(self, latent: Tensor, state: Tensor, last_action: Tensor) -> ActorCriticOutput:
        return self.output


def test_ppo_loss_and_metrics_equal_the_stored_ones() -> None:
    learner = PPO(
        (1, 1), (1, 1), (3, 2), clip=0.2, value_coef=0.5, entropy_coef=0.01, prior_coef=0.0
    )
    logits = torch.tensor(
        [
            [0.2, -1.0, 0.5, 0.3, -0.3],
            [1.5, 0.0, -0.5, -2.0, 1.0],
            [0.0, 0.0, 0.0, 0.7, 0.7],
            [-0.4, 2.2, 0.1, 0.0, 3.0],
        ]
    )
    learner.net = Said(logits, torch.tensor([0.3, -0.7, 1.1, 0.0]))
    batch = TensorDict(
        {
            "latent": torch.zeros(4, 1, 1),
            "state": torch.zeros(4, 1, 1),
            "action": torch.tensor([[2, 0], [0, 1], [1, 0], [1, 1]]),
            "last_action": torch.full((4, 2), NO_ACTION),
            "log_prob": torch.tensor([-1.0, -0.75, -1.4, -0.2]),
            "advantage": torch.tensor([1.0, -2.0, 0.5, 3.0]),
            "value_target": torch.tensor([0.0, -1.0, 2.0, 0.5]),
        },
        [4],
    )
    logged: dict[str, Tensor] = {}
    learner.log_dict = logged.update  # type: ignore[method-assign, assignment]
    loss = learner.training_step(batch, 0)
    stored = {
        "policy_loss": 0.16443115848030287,
        "value_loss": 0.155,
        "entropy_0": 0.8412436935450875,
        "entropy_1": 0.4312428223808096,
        "approx_kl": 0.04088068600198966,
        "clip_fraction": 0.5,
        "loss": 0.2292062933210439,
    }
    assert {name: float(logged[name]) for name in stored} == pytest.approx(stored, rel=1e-6)
    assert float(loss) == pytest.approx(stored["loss"], rel=1e-6)
