from __future__ import annotations

import math

import pytest
import torch

from pamiq_lightning.nets.actor_critic import ActionDistribution, ActorCritic, KeepPrior
from pamiq_lightning.step import NO_ACTION

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


def test_an_untrained_policy_keeps_each_choice_with_the_given_probability() -> None:
    net = ActorCritic((4, 8), (2, 16), CHOICES, dim=32, depth=2, keep_probability=0.9)
    last = torch.stack([torch.randint(n, (50,)) for n in CHOICES], dim=-1)
    logits = net(torch.randn(50, 4, 8), torch.randn(50, 2, 16), last).logits
    for part, kept in zip(logits.split(CHOICES, dim=-1), last.T, strict=True):
        probability = part.softmax(-1).gather(1, kept[:, None])
        assert (probability - 0.9).abs().max() < 1e-6


def test_without_a_last_action_an_untrained_policy_is_uniform() -> None:
    net = ActorCritic((4, 8), (2, 16), CHOICES, dim=32, depth=1)
    none = torch.full((3, len(CHOICES)), NO_ACTION)
    assert (net(torch.randn(3, 4, 8), torch.randn(3, 2, 16), none).logits == 0).all()


def test_log_probabilities_of_two_categories_equal_those_worked_out_by_hand() -> None:
    prior = KeepPrior((2, 3), 0.8)
    actions = ActionDistribution(prior(torch.tensor([[1, 0]])), (2, 3))
    each = {(1, 0): 0.8 * 0.8, (0, 0): 0.2 * 0.8, (1, 2): 0.8 * 0.1, (0, 1): 0.2 * 0.1}
    for action, probability in each.items():
        log_prob = actions.log_prob(torch.tensor([action])).item()
        assert log_prob == pytest.approx(math.log(probability), abs=1e-6)


@pytest.mark.parametrize("probability", [0.0, 1.0, -1.0])
def test_a_keep_probability_that_is_none_is_refused(probability: float) -> None:
    with pytest.raises(ValueError, match="keep_probability"):
        KeepPrior((2, 3), probability)


def test_actor_critic_uses_all_its_inputs() -> None:
    net = ActorCritic((4, 8), (2, 16), CHOICES, dim=32, depth=2, mix_features=8)
    latent = torch.randn(5, 4, 8, requires_grad=True)
    state = torch.randn(5, 2, 16, requires_grad=True)
    last = torch.stack([torch.randint(n, (5,)) for n in CHOICES], dim=-1)
    value = net(latent, state, last).value
    value.sum().backward()
    assert latent.grad is not None and latent.grad.abs().min() > 0
    assert state.grad is not None and state.grad.abs().sum() > 0
    assert (net(latent, state, (last + 1) % 2).value - value).abs().min() > 0


def test_latent_state_and_last_action_have_fair_shares_of_the_trunks_input() -> None:
    """Latents as an encoder makes them: every token has a mean that most of it consists of."""
    torch.manual_seed(0)
    net = ActorCritic((36, 32), (3, 256), CHOICES, dim=256, depth=2)
    latent = torch.randn(36, 32) + 0.3 * torch.randn(500, 36, 32)
    last = torch.stack([torch.randint(n, (500,)) for n in CHOICES], dim=-1)
    state = 10 * torch.randn(3, 256) + torch.randn(500, 3, 256)
    net.observe(latent, state)
    parts = net.parts(latent, state, last)
    variances = torch.stack([part.var(dim=0).sum() for part in parts])
    assert (variances / variances.sum()).min() > 0.15


def test_actor_critic_ignores_the_scale_of_the_state() -> None:
    net = ActorCritic((4, 8), (2, 16), CHOICES, dim=32, depth=1, mix_features=8)
    latent, state = torch.randn(1, 4, 8), torch.randn(1, 2, 16)
    last = torch.zeros(1, len(CHOICES), dtype=torch.int64)
    net.observe(torch.randn(9, 4, 8), torch.randn(9, 2, 16))
    small = net(latent, state, last)
    net.state_norm.shift *= 1000
    net.state_norm.scale /= 1000
    large = net(latent, 1000 * state, last)
    torch.testing.assert_close(small.value, large.value, atol=1e-3, rtol=1e-3)
