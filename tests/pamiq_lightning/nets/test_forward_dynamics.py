from __future__ import annotations

import torch

from pamiq_lightning.nets.forward_dynamics import ForwardDynamics, normal_nll

CHOICES = (3, 3, 3, 2, 2)


def net() -> ForwardDynamics:
    return ForwardDynamics((4, 8), CHOICES, depth=2, dim=16, heads=4, mix_features=8).eval()


def scramble(module: torch.nn.Module) -> None:
    """Change all parameters, because the heads are initialised with zeros."""
    with torch.no_grad():
        for p in module.parameters():
            p.add_(0.1 * torch.randn_like(p))


def test_an_untrained_net_predicts_almost_no_change() -> None:
    latent = torch.randn(3, 4, 8)
    prediction, _ = net().step(latent, torch.zeros(3, 5, dtype=torch.long), torch.zeros(3, 2, 16))
    torch.testing.assert_close(prediction.mean, latent, rtol=0.06, atol=0)
    assert prediction.log_var.abs().max() == 0


def test_sequence_equals_steps() -> None:
    dynamics = net()
    scramble(dynamics)
    latent, state = torch.randn(2, 20, 4, 8), torch.randn(2, 2, 16)
    action = torch.stack([torch.randint(n, (2, 20)) for n in CHOICES], dim=-1)
    whole, states = dynamics(latent, action, state)
    for t in range(20):
        one, state = dynamics.step(latent[:, t], action[:, t], state)
        for a, b in zip(one[:4], whole[:4], strict=True):
            torch.testing.assert_close(a, b[:, t], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(state, states[:, t], rtol=1e-4, atol=1e-5)


def test_prediction_depends_on_the_action() -> None:
    dynamics = net()
    scramble(dynamics)
    latent, state = torch.randn(1, 4, 8), torch.zeros(1, 2, 16)
    still, _ = dynamics.step(latent, torch.tensor([[0, 0, 0, 0, 0]]), state)
    moving, _ = dynamics.step(latent, torch.tensor([[1, 0, 0, 0, 0]]), state)
    assert not torch.allclose(still.mean, moving.mean)


def test_nll_against_torch_normal() -> None:
    x, mean, log_var = torch.randn(3, 50).unbind(0)
    expected = -torch.distributions.Normal(mean, (0.5 * log_var).exp()).log_prob(x)
    torch.testing.assert_close(normal_nll(x, mean, log_var), expected)


def test_imagine_equals_steps_on_predicted_means() -> None:
    dynamics = net()
    scramble(dynamics)
    first, blank = torch.randn(2, 4, 8), torch.randn(2, 2, 16)
    action = torch.stack([torch.randint(n, (2, 3)) for n in CHOICES], dim=-1)
    imagined = dynamics.imagine(first, action, blank)
    one, state = dynamics.step(first, action[:, 0], blank)
    two, state = dynamics.step(one.mean, action[:, 1], state)
    three, _ = dynamics.step(two.mean, action[:, 2], state)
    torch.testing.assert_close(imagined, torch.stack([one.mean, two.mean, three.mean], dim=1))


def test_auxiliary_heads_equal_steps_and_are_absent_by_default() -> None:
    dynamics = ForwardDynamics(
        (4, 8), CHOICES, 2, 16, 4, 8, aux_heads=("ensemble", "progress", "novelty")
    ).eval()
    latent, state = torch.randn(2, 5, 4, 8), torch.randn(2, 2, 16)
    action = torch.zeros(2, 5, 5, dtype=torch.long)
    whole, _ = dynamics(latent, action, state)
    assert whole.ensemble_means is not None and whole.expected_error is not None
    assert whole.ensemble_means.shape == (5, 2, 5, 4, 8) and whole.expected_error.shape == (2, 5)
    for t in range(5):
        one, state = dynamics.step(latent[:, t], action[:, t], state)
        torch.testing.assert_close(
            one.ensemble_means, whole.ensemble_means[:, :, t], rtol=1e-4, atol=1e-5
        )
        torch.testing.assert_close(one.expected_error, whole.expected_error[:, t])
    assert len(dynamics.state_dict()) > len(net().state_dict())
    bare, _ = net().step(latent[:, 0], action[:, 0], state)
    assert bare.ensemble_means is None and bare.expected_error is None
