from __future__ import annotations

import math

import pytest
import torch
from tensordict import TensorDict

from pamiq_lightning.learners.dynamics import SioConvDynamics, symlog
from tests.synthetic import rollout


def dynamics(**changes: object) -> SioConvDynamics:
    settings: dict[str, object] = {
        "latent": (4, 8),
        "state": (2, 16),
        "heads": 4,
        "mix_features": 16,
        "burn_in": 2,
        "sequence_length": 8,
        "dropout": 0.0,
        "lr": 3e-3,
    }
    learner = SioConvDynamics(**(settings | changes))  # type: ignore[arg-type]
    learner.logged = {}  # type: ignore[assignment]
    learner.log_dict = lambda metrics: learner.logged.update(metrics)  # type: ignore[method-assign, assignment, union-attr]
    learner.log = lambda key, value: learner.logged.update({key: value})  # type: ignore[method-assign, assignment, union-attr]
    return learner


def sequences(B: int = 8, T: int = 9) -> TensorDict:
    """Latents that stand at one of two places, as the last action's first category was 0 or 1."""
    action = torch.zeros(B, T, 5, dtype=torch.long)
    action[..., 0] = torch.randint(0, 2, (B, T))
    place = torch.cat([torch.zeros(B, 1), action[:, :-1, 0].float()], dim=1)
    latent = torch.randn(B, 1, 4, 8) * 0.3 + place[..., None, None] * torch.linspace(-2, 2, 8)
    return TensorDict(
        {
            "latent": latent,
            "action": action,
            "state": torch.zeros(B, T, 2, 16),
            "reward": torch.randn(B, T),
        },
        [B, T],
    )


def test_dynamics_learn_the_effect_of_an_action() -> None:
    learner = dynamics()
    optimizer = learner.configure_optimizers()
    for step in range(300):
        loss = learner.training_step(sequences(), step)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    learner.training_step(sequences(64), 0)
    logged = learner.logged
    assert logged["latent_error"] < 0.5 * logged["copy_last_error"]  # type: ignore[index, operator]
    # It knows that it knows: the variance it predicts has come down with the error.
    assert logged["log_var"] < -1  # type: ignore[index, operator]


def test_dynamics_loss_excludes_the_burn_in() -> None:
    learner = dynamics()
    batch = sequences()
    before = learner.training_step(batch, 0)
    # The rows that are only predicted during burn-in: 1 and 2 are inputs too, so change rewards.
    batch["reward"][:, 1:3] = 1e6
    torch.testing.assert_close(learner.training_step(batch, 0), before)
    batch["reward"][:, 3] = 1e6
    assert learner.training_step(batch, 0) > before


def test_dynamics_start_a_sequence_from_the_stored_state() -> None:
    learner = dynamics()
    with torch.no_grad():
        for p in learner.net.parameters():
            p.add_(0.3 * torch.randn_like(p))
    batch = sequences()
    before = learner.training_step(batch, 0)
    batch["state"][:, 0] = 5 * torch.randn(8, 2, 16)
    assert not torch.allclose(learner.training_step(batch, 0), before)
    batch["state"][:, 0] = 0.0
    batch["state"][:, 1:] = 5 * torch.randn(8, 8, 2, 16)
    torch.testing.assert_close(learner.training_step(batch, 0), before)


def test_online_error_counts_only_valid_transitions() -> None:
    learner = dynamics()
    steps = rollout(12)
    learner.on_rollout(steps)
    learner.on_train_batch_start(None, 0)
    expected = (steps["latent"][1:] - steps["latent"][:-1]).square()[2:].mean()
    torch.testing.assert_close(learner.logged["online_copy_last_error"], expected)  # type: ignore[index]
    steps["valid"][:] = False
    learner.on_rollout(steps)
    learner.logged.clear()  # type: ignore[operator]
    learner.on_train_batch_start(None, 0)
    assert not learner.logged


def test_symlog_equals_its_formula() -> None:
    x = torch.tensor([-3.0, 0.0, math.e - 1])
    torch.testing.assert_close(symlog(x), torch.tensor([-math.log(4), 0.0, 1.0]))


def test_dynamics_refuse_a_sequence_that_is_all_burn_in() -> None:
    with pytest.raises(ValueError, match="burn_in"):
        dynamics(burn_in=8)


def test_imagination_loss_equals_stepping_by_hand() -> None:
    learner = dynamics(imagined_steps=3, imagination_coef=2.0)
    with torch.no_grad():
        for parameter in learner.net.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    batch = sequences(4)
    loss = learner.training_step(batch, 0)
    errors = []
    for start in (2, 5):
        state = batch["state"][:, 0]
        for t in range(start):
            _, state = learner.net.step(batch["latent"][:, t], batch["action"][:, t], state)
        latent = batch["latent"][:, start]
        for t in range(start, start + 3):
            prediction, state = learner.net.step(latent, batch["action"][:, t], state)
            latent = prediction.mean
            errors.append((latent - batch["latent"][:, t + 1]).square().mean())
    expected = torch.stack(errors).mean()
    torch.testing.assert_close(learner.logged["imagination_loss"], expected)  # type: ignore[index]
    learner.imagined_steps = 0
    without = learner.training_step(batch, 0)
    torch.testing.assert_close(loss - without, 2.0 * expected)


def test_dynamics_refuse_imagined_steps_beyond_the_sequence() -> None:
    with pytest.raises(ValueError, match="imagined_steps 7 must be at most sequence_length 8"):
        dynamics(imagined_steps=7)
    dynamics(imagined_steps=6).training_step(sequences(), 0)
