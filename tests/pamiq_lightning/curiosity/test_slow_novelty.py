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

NOTHING = Prediction(torch.zeros(1), torch.zeros(1), torch.zeros(1), torch.zeros(1))
P, D = 4, 8
STAY = 200
"""Ticks in a room before the next."""
FIRST = 200
"""Ticks before it knows what is slow: four times as many as a row has numbers, and a round 100."""


def life(rooms: str, noise: float = 0.5) -> list[Tensor]:
    """Latents of stays in rooms; the last two of four tokens are noise wherever one is."""
    rng = torch.Generator().manual_seed(3)
    places = {name: torch.randn(P, D, generator=rng) for name in "ABCD"}
    seen = []
    for room in rooms:
        for _ in range(STAY):
            latent = places[room] + noise * torch.randn(P, D, generator=rng)
            latent[2:] = torch.randn(2, D, generator=rng)
            seen.append(latent)
    return seen


def rewards(curiosity: SlowNovelty, latents: list[Tensor]) -> list[float]:
    return [curiosity.reward(RewardInputs(latent, latent, NOTHING)) for latent in latents]


def made(**changes: int) -> SlowNovelty:
    return SlowNovelty(**{"projections": 16, "memory": 512, "solve_every": 100, **changes})


def test_a_known_room_is_nothing_new_even_where_much_is_noise() -> None:
    gained = rewards(made(), life("ABABABABCA"))
    known, new, again = gained[-3 * STAY : -2 * STAY], gained[-2 * STAY : -STAY], gained[-STAY:]
    # A room is new until it is remembered.
    assert fmean(known[20:]) < 0.1 * fmean(new[5:45])
    assert fmean(again[20:]) < 0.1 * fmean(new[5:45])


@pytest.mark.parametrize("noise", [0.5, 1.0])
def test_noise_alone_is_nothing_new(noise: float) -> None:
    rooms = rewards(made(), life("ABABABAB", noise))
    new = fmean(rewards(made(), life("ABABABC", noise))[-STAY + 5 : -STAY + 45])
    assert fmean(rooms[-STAY + 20 :]) < 0.1 * new


def test_of_noise_nothing_is_slow() -> None:
    rng = torch.Generator().manual_seed(0)
    gained = rewards(made(), list(torch.randn(2500, P, D, generator=rng)))
    assert gained[-500:] == [0.0] * 500


def test_the_unit_of_latents_does_not_matter() -> None:
    latents = life("ABAC")
    one, other = rewards(made(), latents), rewards(made(), [10 * latent for latent in latents])
    assert other == pytest.approx(one, rel=1e-2, abs=1e-3)
    assert max(one) > 1.0


def test_it_knows_nothing_at_first() -> None:
    gained = rewards(made(), life("ABC"))
    assert gained[: FIRST - 1] == [0.0] * (FIRST - 1)
    assert min(gained[FIRST:]) > 0.0


@pytest.mark.parametrize("at", [30, 150, 230, 730])
def test_it_goes_on_where_it_was_saved(at: int) -> None:
    """Before anything is remembered, before anything is slow, and with a memory not yet full."""
    latents = life("ABCAB")
    one, other = made(), made()
    rewards(one, latents[:at])
    state = one.state_dict()
    content = value_bytes(state)
    went_on = rewards(one, latents[at:])
    # What was returned is of then, and loading it shares nothing.
    assert value_bytes(state) == content
    other.load_state_dict(torch.load(io.BytesIO(content), weights_only=True))
    assert rewards(other, latents[at:]) == went_on
    third = made()
    third.load_state_dict(state)
    rewards(third, latents[at:])
    assert value_bytes(state) == content


def test_what_it_remembers_fits_where_it_says() -> None:
    novelty = SlowNovelty(memory=64, solve_every=50)
    rng = torch.Generator().manual_seed(0)
    walk = torch.randn(1200, P, D, generator=rng).cumsum(0)
    assert max(rewards(novelty, list(walk))) > 0
    size = len(value_bytes(novelty.state_dict()))
    assert 0.8 * novelty.state_bytes < size < novelty.state_bytes


def test_the_memory_of_other_settings_is_refused() -> None:
    state = made().state_dict()
    with pytest.raises(ValueError, match="'memory': 512"):
        made(memory=256).load_state_dict(state)
    with pytest.raises(ValueError, match="'seed': 0"):
        made(seed=1).load_state_dict(state)


@pytest.mark.parametrize(
    "settings, words", [({"gap": 0}, "gap must be at least 1"), ({"memory": 3}, "neighbours 5")]
)
def test_numbers_that_cannot_be_are_refused(settings: dict[str, int], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        SlowNovelty(**settings)
