from __future__ import annotations

import copy

import pytest
import torch
from tensordict import TensorDict

from pamiq_lightning.learners.base import Learner
from pamiq_lightning.learners.collapse import rank_me
from pamiq_lightning.learners.ijepa import IJEPA
from pamiq_lightning.utils.instantiate import build
from pamiq_lightning.utils.usage_error import UsageError
from tests.synthetic import IJEPA as SPEC
from tests.synthetic import rollout


def ijepa(**changes: object) -> IJEPA:
    learner = build(Learner, {**SPEC, "init_args": {**SPEC["init_args"], **changes}})
    assert isinstance(learner, IJEPA)
    learner.logged = {}  # type: ignore[assignment]
    learner.log_dict = lambda metrics: learner.logged.update(metrics)  # type: ignore[method-assign, assignment, union-attr]
    learner.log = lambda key, value: learner.logged.update({key: value})  # type: ignore[method-assign, assignment, union-attr]
    return learner


def train(learner: IJEPA, updates: int) -> None:
    optimizer = learner.configure_optimizers()
    for step in range(updates):
        batch = TensorDict({"frame": pictures(8)}, [8])
        learner.training_step(batch, step).backward()
        learner.on_before_optimizer_step(optimizer)
        optimizer.step()
        optimizer.zero_grad()
        learner.on_train_batch_end(None, batch, step)


def pictures(n: int) -> torch.Tensor:
    """Smooth random pictures: each patch predicts something of its neighbours."""
    coarse = torch.randint(0, 256, (n, 3, 3, 3)).float()
    smooth = torch.nn.functional.interpolate(coarse, size=24, mode="bilinear")
    return smooth.to(torch.uint8)


def test_target_is_an_ema_of_the_encoder() -> None:
    learner = ijepa(ema=0.9)
    before = copy.deepcopy(learner.target.state_dict())
    with torch.no_grad():
        for p in learner.encoder.parameters():
            p.add_(1.0)
    learner.on_train_batch_end(None, None, 0)
    for name, now in learner.target.named_parameters():
        torch.testing.assert_close(now, before[name] + 0.1, msg=name)
    assert learner.n_updates == 1


def test_target_ema_does_not_stall_under_mixed_precision() -> None:
    """Against 0.996^n in float64; in bfloat16 four fifths of the way would be left after 2,000."""
    learner = ijepa(ema=0.996)
    with torch.no_grad():
        for target, source in zip(
            learner.target.parameters(), learner.encoder.parameters(), strict=True
        ):
            target.zero_()
            source.fill_(1.0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        for _ in range(2000):
            learner.on_train_batch_end(None, None, 0)
    left = 0.996**2000
    for parameter in learner.target.parameters():
        assert parameter.dtype == torch.float32
        torch.testing.assert_close(
            1 - parameter, torch.full_like(parameter, left), atol=1e-5, rtol=0
        )


def test_target_gets_no_gradient() -> None:
    learner = ijepa()
    learner.training_step(rollout(4), 0).backward()
    assert all(p.grad is None for p in learner.target.parameters())
    assert any(p.grad is not None for p in learner.encoder.parameters())


def test_decay_groups_exempt_one_dimensional_parameters() -> None:
    optimizer = ijepa().configure_optimizers()
    for group in optimizer.param_groups:
        for p in group["params"]:
            assert (p.ndim > 1) == (group["weight_decay"] > 0)


def test_rank_me_of_known_ranks() -> None:
    basis = torch.linalg.qr(torch.randn(16, 16)).Q
    for rank in (1, 4, 16):
        latents = (torch.randn(4000, rank) @ basis[:rank]).view(1000, 4, 16)
        assert rank_me(latents) == pytest.approx(rank, rel=0.03)


def test_rank_me_does_not_count_positions() -> None:
    positions = torch.randn(1, 40, 16)
    content = 1e-3 * torch.randn(64, 1, 1) * torch.ones(1, 1, 16)
    assert rank_me(positions + content) == pytest.approx(1.0, abs=0.05)


def test_vicreg_terms_prevent_the_collapse_of_plain_ijepa() -> None:
    """A long run of small updates on smooth pictures, with and without the spread terms."""
    stds = {}
    for coefficient in (0.0, 1.0):
        torch.manual_seed(1)
        learner = ijepa(variance_coef=coefficient, covariance_coef=0.04 * coefficient, lr=1e-3)
        train(learner, 150)
        latents = learner.acting_module(pictures(64)).detach()
        stds[coefficient] = (latents - latents.mean(0)).flatten(0, 1).std(0).mean().item()
    assert stds[1.0] > 0.4
    assert stds[1.0] > 2 * stds[0.0]


def test_collapse_alarms_are_logged_once_there_are_enough_frames() -> None:
    learner = ijepa(batch_size=32, updates=2)
    for _ in range(2):
        batch = TensorDict({"frame": pictures(32)}, [32])
        learner.training_step(batch, 0)
        learner.on_train_batch_end(None, None, 0)
    assert 1 <= learner.logged["rank_me"] <= 8  # type: ignore[index, operator]
    assert learner.logged["feature_std"] > 0  # type: ignore[index, operator]


def test_latent_drift_is_zero_against_itself() -> None:
    learner = ijepa()
    steps = rollout(8)
    steps["latent"] = learner.acting_module(steps["frame"]).detach()
    learner.on_rollout(steps)
    learner.on_train_batch_start(None, 0)
    assert learner.logged["latent_drift"] == pytest.approx(0, abs=1e-5)  # type: ignore[index]


def test_ijepa_refuses_an_impossible_latent_shape() -> None:
    with pytest.raises(UsageError, match="latent says 5 tokens"):
        ijepa(latent=[5, 8])


def test_latent_drift_is_not_logged_for_another_latent_shape() -> None:
    learner = ijepa()
    steps = rollout(8)
    steps["latent"] = torch.zeros(8, 5, 3)
    learner.on_rollout(steps)
    learner.on_rollout(steps.exclude("latent"))
    learner.on_train_batch_start(None, 0)
    assert "latent_drift" not in learner.logged  # type: ignore[operator]


def test_weights_without_the_encoder_start_it_from_the_target() -> None:
    trained, fresh = ijepa(), ijepa()
    train(trained, 3)
    weights = {k: v for k, v in trained.state_dict().items() if not k.startswith("encoder.")}
    fresh.load_state_dict(weights)
    for name, value in trained.target.state_dict().items():
        assert torch.equal(fresh.target.state_dict()[name], value)
        assert torch.equal(fresh.encoder.state_dict()[name], value)
    del weights["target.out.weight"]
    with pytest.raises(RuntimeError, match=r"out\.weight"):
        fresh.load_state_dict(weights)
