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
    learner,
    rewards,
    train,
)


class SquaredError(Curiosity):
    """The error alone, on the scale of those that are made of it."""

    def reward(self, inputs):  # type: ignore[no-untyped-def]
        return squared_error(inputs)


@pytest.fixture(scope="module")
def young() -> SioConvDynamics:
    """Dynamics that begin to learn."""
    dynamics = learner(progress_rounds=2)
    train(dynamics, rounds=6)
    return dynamics


@pytest.fixture(scope="module")
def grown() -> SioConvDynamics:
    """Dynamics that have learned what there is to learn."""
    dynamics = learner()
    train(dynamics, rounds=60)
    return dynamics


def mean(dynamics: SioConvDynamics, curiosity: Curiosity, place: int) -> float:
    return fmean(rewards(dynamics, curiosity, place))


def test_what_can_be_learned_is_learned(grown: SioConvDynamics) -> None:
    fresh = mean(learner(), SquaredError(), LEARNABLE)
    assert mean(grown, SquaredError(), LEARNABLE) < 0.05 * fresh


def test_prediction_error_falls_where_there_is_something_to_learn_and_not_in_noise(
    grown: SioConvDynamics,
) -> None:
    begun = learner()
    assert mean(begun, PredictionError(), LEARNABLE) > 1.0
    assert mean(grown, PredictionError(), LEARNABLE) < -0.5
    # Of standard normal elements, and one token of four that never changes.
    assert mean(grown, PredictionError(), NOISE) > mean(grown, PredictionError(), LEARNABLE) + 1
    assert mean(grown, SquaredError(), NOISE) > 0.5


@pytest.mark.parametrize("curiosity", [AMA(), LearningProgress(), Disagreement()])
@pytest.mark.parametrize("place", [LEARNABLE, NOISE])
def test_others_fall_towards_nothing_in_both(
    young: SioConvDynamics, grown: SioConvDynamics, curiosity: Curiosity, place: int
) -> None:
    last = mean(grown, curiosity, place)
    assert abs(last) < 0.1 * mean(grown, SquaredError(), NOISE)
    if place == NOISE:
        return
    if isinstance(curiosity, AMA):
        # What it says before a variance was learned depends on the unit of the latents.
        first = mean(learner(), SquaredError(), place)
    else:
        first = mean(
            young if isinstance(curiosity, LearningProgress) else learner(), curiosity, place
        )
    assert abs(last) < 0.2 * first


def test_ama_without_eta_is_the_squared_error(grown: SioConvDynamics) -> None:
    assert mean(grown, AMA(eta=0.0), NOISE) == pytest.approx(mean(grown, SquaredError(), NOISE))
    with pytest.raises(ValueError, match="eta"):
        AMA(eta=-1.0)


def test_rnd_falls_where_one_was_and_is_high_where_one_never_was() -> None:
    dynamics, optimizer = learner(), None
    begun = mean(dynamics, RND(), LEARNABLE)
    optimizer = dynamics.configure_optimizers()
    for update in range(400):
        dynamics.training_step(batch(update, places=(LEARNABLE,)), 0).backward()
        optimizer.step()
        optimizer.zero_grad()
    assert mean(dynamics, RND(), LEARNABLE) < 0.02 * begun
    assert mean(dynamics, RND(), NOISE) > 10 * mean(dynamics, RND(), LEARNABLE)


@pytest.mark.parametrize("curiosity", [LearningProgress(), Disagreement(), RND()])
def test_a_reward_says_which_part_of_the_dynamics_is_missing(curiosity: Curiosity) -> None:
    (missing,) = curiosity.aux_heads
    with pytest.raises(ValueError, match=missing):
        rewards(learner(aux_heads=()), curiosity, NOISE, rows=3)


def test_extras_do_not_change_what_the_dynamics_learn() -> None:
    with_all, without = learner(), learner(aux_heads=())
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
