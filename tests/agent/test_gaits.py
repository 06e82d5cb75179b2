"""Gaits: how long they keep a choice, and what they draw."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from agent.actions import CHOICES
from agent.gaits import FORWARD, REDRAW, make_gait
from pamiq_lightning.nets.actor_critic import ActionDistribution
from pamiq_lightning.step import NO_ACTION


def _walk(name: str, ticks: int) -> np.ndarray:
    gait, generator = make_gait(name), torch.Generator().manual_seed(0)
    action, taken = torch.full((1, len(CHOICES)), NO_ACTION), []
    for _ in range(ticks):
        action = ActionDistribution(gait(action), CHOICES).sample(generator)
        taken.append(action[0].numpy())
    return np.array(taken)


@pytest.mark.parametrize("name", ["sticky", "forward", "jitter"])
def test_probabilities_add_up_to_one(name: str) -> None:
    for last in ([[NO_ACTION] * 5], [[1, 2, 0, 1, 0]]):
        probabilities = make_gait(name)(torch.tensor(last)).exp()
        sums = [part.sum() for part in probabilities.split(CHOICES, dim=-1)]
        np.testing.assert_allclose(sums, 1.0, rtol=1e-6)


def test_sticky_keeps_a_choice_but_for_a_uniform_redraw() -> None:
    taken = _walk("sticky", 4000)
    kept = (taken[1:] == taken[:-1]).mean(axis=0)
    expected = [1 - REDRAW + REDRAW / n for n in CHOICES]
    np.testing.assert_allclose(kept, expected, atol=0.02)


def test_jitter_ignores_the_last_action() -> None:
    taken = _walk("jitter", 4000)
    kept = (taken[1:] == taken[:-1]).mean(axis=0)
    np.testing.assert_allclose(kept, [1 / n for n in CHOICES], atol=0.03)


def test_forward_mostly_walks_forward() -> None:
    taken = _walk("forward", 6000)
    assert (taken[:, 0] == 1).mean() == pytest.approx(FORWARD, abs=0.08)
