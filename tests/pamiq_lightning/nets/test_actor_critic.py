from __future__ import annotations

import math

import torch

from pamiq_lightning.nets.actor_critic import ActionDistribution, ActorCritic

CHOICES = (3, 2)


def test_log_prob_is_the_joint_log_probability() -> None:
    logits = torch.log(torch.tensor([[0.5, 0.25, 0.25, 0.9, 0.1]]))
    actions = ActionDistribution(logits, CHOICES)
    joint = actions.log_prob(torch.tensor([[1, 1]]))
    torch.testing.assert_close(joint, torch.tensor([math.log(0.25 * 0.1)]))


def test_entropies_of_uniform_categories() -> None:
    entropies = ActionDistribution(torch.zeros(1, 5), CHOICES).entropies()
    torch.testing.assert_close(entropies, torch.tensor([[math.log(3), math.log(2)]]))


def test_samples_follow_the_probabilities_and_the_generator() -> None:
    logits = torch.log(torch.tensor([0.7, 0.2, 0.1, 0.9, 0.1])).expand(20_000, -1)
    drawn = ActionDistribution(logits, CHOICES).sample(torch.Generator().manual_seed(3))
    shares = torch.stack([(drawn[:, 0] == k).float().mean() for k in range(3)])
    torch.testing.assert_close(shares, torch.tensor([0.7, 0.2, 0.1]), atol=0.02, rtol=0)
    again = ActionDistribution(logits, CHOICES).sample(torch.Generator().manual_seed(3))
    assert (drawn == again).all()


def test_an_untrained_policy_is_nearly_uniform_and_uses_both_inputs() -> None:
    net = ActorCritic((4, 8), (2, 16), (3, 3, 3, 2, 2), dim=32, depth=2, mix_features=8)
    latent = torch.randn(5, 4, 8, requires_grad=True)
    state = torch.randn(5, 2, 16, requires_grad=True)
    output = net(latent, state)
    assert output.logits.abs().max() < 0.2
    output.value.sum().backward()
    assert latent.grad is not None and latent.grad.abs().min() > 0
    assert state.grad is not None and state.grad.abs().sum() > 0


def test_actor_critic_ignores_the_scale_of_the_state() -> None:
    net = ActorCritic((4, 8), (2, 16), CHOICES, dim=32, depth=1, mix_features=8)
    latent, state = torch.randn(1, 4, 8), torch.randn(1, 2, 16)
    small, large = net(latent, state), net(latent, 1000 * state)
    torch.testing.assert_close(small.value, large.value, atol=1e-3, rtol=1e-3)
