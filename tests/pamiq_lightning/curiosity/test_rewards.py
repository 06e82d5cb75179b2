from __future__ import annotations

from statistics import fmean

import pytest
import torch

from pamiq_lightning.curiosity.ama import AMA
from pamiq_lightning.curiosity.base import Curiosity, squared_error
from pamiq_lightning.curiosity.disagreement import Disagreement
from pamiq_lightning.curiosity.learning_progress import LearningProgress
from pamiq_lightning.curiosity.prediction_error import PredictionError
from pamiq_lightning.curiosity.rnd import RND
from pamiq_lightning.learners.dynamics import SioConvDynamics
from tests.pamiq_lightning.curiosity.synthetic import (
    LEARNABLE,
    NOISE,
    batch,
    dynamics_learner,
    rewards,
    train,
)


class SquaredError(Curiosity):
    """The error alone, as the scale for the rewards computed from it."""

    def reward(self, inputs):  # type: ignore[no-untyped-def]
        return squared_error(inputs)


@pytest.fixture(scope="module")
def early() -> SioConvDynamics:
    """Dynamics after a little training."""
    dynamics = dynamics_learner(progress_rounds=2)
    train(dynamics, rounds=6)
    return dynamics


@pytest.fixture(scope="module")
def trained() -> SioConvDynamics:
    """Dynamics trained to convergence."""
    dynamics = dynamics_learner()
    train(dynamics, rounds=60)
    return dynamics


def mean(dynamics: SioConvDynamics, curiosity: Curiosity, context: int) -> float:
    return fmean(rewards(dynamics, curiosity, context))


def test_dynamics_learn_the_learnable_context(trained: SioConvDynamics) -> None:
    fresh = mean(dynamics_learner(), SquaredError(), LEARNABLE)
    assert mean(trained, SquaredError(), LEARNABLE) < 0.05 * fresh


def test_prediction_error_falls_in_the_learnable_context_and_not_in_noise(
    trained: SioConvDynamics,
) -> None:
    untrained = dynamics_learner()
    assert mean(untrained, PredictionError(), LEARNABLE) > 1.0
    assert mean(trained, PredictionError(), LEARNABLE) < -0.5
    # Three tokens of standard normal noise, and one that never changes.
    assert mean(trained, PredictionError(), NOISE) > mean(trained, PredictionError(), LEARNABLE) + 1
    assert mean(trained, SquaredError(), NOISE) > 0.5


@pytest.mark.parametrize("curiosity", [AMA(), LearningProgress(), Disagreement()])
@pytest.mark.parametrize("context", [LEARNABLE, NOISE])
def test_noise_robust_rewards_fall_towards_zero_in_both_contexts(
    early: SioConvDynamics, trained: SioConvDynamics, curiosity: Curiosity, context: int
) -> None:
    last = mean(trained, curiosity, context)
    assert abs(last) < 0.1 * mean(trained, SquaredError(), NOISE)
    if context == NOISE:
        return
    if isinstance(curiosity, AMA):
        # Before a variance is learned it depends on the unit of the latents.
        first = mean(dynamics_learner(), SquaredError(), context)
    else:
        begun = early if isinstance(curiosity, LearningProgress) else dynamics_learner()
        first = mean(begun, curiosity, context)
    assert abs(last) < 0.2 * first


def test_ama_without_eta_is_the_squared_error(trained: SioConvDynamics) -> None:
    assert mean(trained, AMA(eta=0.0), NOISE) == pytest.approx(mean(trained, SquaredError(), NOISE))
    with pytest.raises(ValueError, match="eta"):
        AMA(eta=-1.0)


def test_rnd_falls_in_the_context_trained_on_and_stays_high_in_the_other() -> None:
    dynamics = dynamics_learner()
    first = mean(dynamics, RND(), LEARNABLE)
    optimizer = dynamics.configure_optimizers()
    for update in range(400):
        dynamics.training_step(batch(update, contexts=(LEARNABLE,)), 0).backward()
        optimizer.step()
        optimizer.zero_grad()
    assert mean(dynamics, RND(), LEARNABLE) < 0.02 * first
    assert mean(dynamics, RND(), NOISE) > 10 * mean(dynamics, RND(), LEARNABLE)


@pytest.mark.parametrize("curiosity", [LearningProgress(), Disagreement(), RND()])
def test_a_reward_names_the_auxiliary_head_that_is_missing(curiosity: Curiosity) -> None:
    (missing,) = curiosity.aux_heads
    with pytest.raises(ValueError, match=missing):
        rewards(dynamics_learner(aux_heads=()), curiosity, NOISE, rows=3)


def test_auxiliary_heads_do_not_change_what_the_dynamics_learn() -> None:
    with_all, without = dynamics_learner(), dynamics_learner(aux_heads=())
    for dynamics in (with_all, without):
        dynamics.log = lambda *_: None  # type: ignore[method-assign, assignment]
        optimizer = dynamics.configure_optimizers()
        for update in range(3):
            dynamics.training_step(batch(update), 0).backward()
            dynamics.on_before_optimizer_step(optimizer)
            optimizer.step()
            optimizer.zero_grad()
    learned = dict(with_all.net.named_parameters())
    for name, parameter in without.net.named_parameters():
        torch.testing.assert_close(learned[name], parameter)
    assert len(list(with_all.parameters())) > len(list(without.parameters()))
