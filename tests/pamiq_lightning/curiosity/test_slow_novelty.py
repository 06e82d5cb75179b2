from __future__ import annotations

import io
from statistics import fmean

import pytest
import torch
from torch import Tensor

from pamiq_lightning.checkpoint.files import value_bytes
from pamiq_lightning.curiosity.base import RewardInputs
from pamiq_lightning.curiosity.slow_novelty import SlowNovelty
from pamiq_lightning.nets.forward_dynamics import Prediction

NO_PREDICTION = Prediction(torch.zeros(1), torch.zeros(1), torch.zeros(1), torch.zeros(1))
P, D = 4, 8
STAY = 200
"""Ticks in each room."""
FIRST = 200
"""Ticks before the first slow features: four for each number in a row, rounded up to 100."""


def walk(rooms: str, noise: float = 0.5) -> list[Tensor]:
    """Return latents of stays in rooms; the last two of four tokens are noise in every room."""
    rng = torch.Generator().manual_seed(3)
    means = {name: torch.randn(P, D, generator=rng) for name in "ABCD"}
    latents = []
    for room in rooms:
        for _ in range(STAY):
            latent = means[room] + noise * torch.randn(P, D, generator=rng)
            latent[2:] = torch.randn(2, D, generator=rng)
            latents.append(latent)
    return latents


def rewards(curiosity: SlowNovelty, latents: list[Tensor]) -> list[float]:
    return [curiosity.reward(RewardInputs(latent, latent, NO_PREDICTION)) for latent in latents]


def novelty(**changes: int) -> SlowNovelty:
    return SlowNovelty(**{"projections": 16, "memory": 512, "solve_every": 100, **changes})


def test_a_known_room_is_not_novel_despite_noise() -> None:
    gained = rewards(novelty(), walk("ABABABABCA"))
    known, new, again = gained[-3 * STAY : -2 * STAY], gained[-2 * STAY : -STAY], gained[-STAY:]
    assert fmean(known[20:]) < 0.1 * fmean(new[5:45])
    assert fmean(again[20:]) < 0.1 * fmean(new[5:45])


@pytest.mark.parametrize("noise", [0.5, 1.0])
def test_known_rooms_are_not_novel_at_any_noise(noise: float) -> None:
    rooms = rewards(novelty(), walk("ABABABAB", noise))
    new = fmean(rewards(novelty(), walk("ABABABC", noise))[-STAY + 5 : -STAY + 45])
    assert fmean(rooms[-STAY + 20 :]) < 0.1 * new


def test_pure_noise_has_no_slow_features_and_no_reward() -> None:
    rng = torch.Generator().manual_seed(0)
    gained = rewards(novelty(), list(torch.randn(2500, P, D, generator=rng)))
    assert gained[-500:] == [0.0] * 500


def test_reward_does_not_depend_on_the_scale_of_latents() -> None:
    latents = walk("ABAC")
    one, other = (
        rewards(novelty(), latents),
        rewards(novelty(), [10 * latent for latent in latents]),
    )
    assert other == pytest.approx(one, rel=1e-2, abs=1e-3)
    assert max(one) > 1.0


def test_reward_is_zero_before_the_first_slow_features() -> None:
    gained = rewards(novelty(), walk("ABC"))
    assert gained[: FIRST - 1] == [0.0] * (FIRST - 1)
    assert min(gained[FIRST:]) > 0.0


@pytest.mark.parametrize("at", [30, 150, 230, 730])
def test_slow_novelty_resumes_where_it_was_saved(at: int) -> None:
    """Saved before anything is remembered, before slow features, and with room in the reservoir."""
    latents = walk("ABCAB")
    one, other = novelty(), novelty()
    rewards(one, latents[:at])
    state = one.state_dict()
    content = value_bytes(state)
    continued = rewards(one, latents[at:])
    # The state does not change after it is returned or loaded.
    assert value_bytes(state) == content
    other.load_state_dict(torch.load(io.BytesIO(content), weights_only=True))
    assert rewards(other, latents[at:]) == continued
    third = novelty()
    third.load_state_dict(state)
    rewards(third, latents[at:])
    assert value_bytes(state) == content


def test_state_bytes_bound_the_serialized_state() -> None:
    curiosity = SlowNovelty(memory=64, solve_every=50)
    rng = torch.Generator().manual_seed(0)
    latents = torch.randn(1200, P, D, generator=rng).cumsum(0)
    assert max(rewards(curiosity, list(latents))) > 0
    size = len(value_bytes(curiosity.state_dict()))
    assert 0.8 * curiosity.state_bytes < size < curiosity.state_bytes


def test_the_state_of_other_settings_is_refused() -> None:
    state = novelty().state_dict()
    with pytest.raises(ValueError, match="'memory': 512"):
        novelty(memory=256).load_state_dict(state)
    with pytest.raises(ValueError, match="'seed': 0"):
        novelty(seed=1).load_state_dict(state)


@pytest.mark.parametrize(
    "settings, words", [({"gap": 0}, "gap must be at least 1"), ({"memory": 3}, "neighbours 5")]
)
def test_impossible_settings_are_refused(settings: dict[str, int], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        SlowNovelty(**settings)
