from __future__ import annotations

import io
import math
from statistics import fmean

import pytest
import torch
from torch import Tensor

from pamiq_lightning.curiosity.base import Evidence
from pamiq_lightning.curiosity.slow_novelty import Reservoir, SlowFeatures, SlowNovelty
from pamiq_lightning.nets.forward_dynamics import Prediction
from pamiq_lightning.trainer.checkpoint import value_bytes

NOTHING = Prediction(torch.zeros(1), torch.zeros(1), torch.zeros(1), torch.zeros(1))
P, D = 4, 8
STAY = 200
"""Ticks in a room before the next."""


def life(rooms: str, noise: float = 0.5) -> list[Tensor]:
    """Latents of stays in rooms; the last two of four tokens are noise wherever one is."""
    chance = torch.Generator().manual_seed(3)
    places = {name: torch.randn(P, D, generator=chance) for name in "ABCD"}
    seen = []
    for room in rooms:
        for _ in range(STAY):
            latent = places[room] + noise * torch.randn(P, D, generator=chance)
            latent[2:] = torch.randn(2, D, generator=chance)
            seen.append(latent)
    return seen


def rewards(curiosity: SlowNovelty, latents: list[Tensor]) -> list[float]:
    return [curiosity.reward(Evidence(latent, latent, NOTHING)) for latent in latents]


def made(seed: int = 0) -> SlowNovelty:
    return SlowNovelty(features=3, projections=16, memory=512, solve_every=100, seed=seed)


def test_the_slowest_of_mixed_series_is_found() -> None:
    chance = torch.Generator().manual_seed(0)
    time = torch.arange(2000.0)
    slow = (time / 100).sin()
    sources = torch.stack([slow, *torch.randn(4, 2000, generator=chance)], 1)
    mixed = sources @ torch.randn(5, 5, generator=chance)
    analysis = SlowFeatures(5, forget=10_000)
    for row in mixed:
        analysis.see(row)
    found = (mixed @ analysis.solve(1))[:, 0]
    assert abs(torch.corrcoef(torch.stack([found, slow]))[0, 1]) > 0.98
    assert found.std() == pytest.approx(1.0, abs=0.05)


def test_what_never_varies_has_no_slowness() -> None:
    chance = torch.Generator().manual_seed(0)
    analysis = SlowFeatures(3, forget=100)
    for value in torch.randn(300, generator=chance):
        analysis.see(torch.stack([value, -value, torch.tensor(5.0)]))
    assert analysis.solve(2).shape == (3, 1)


def test_a_known_room_is_nothing_new_even_where_much_is_noise() -> None:
    gained = rewards(made(), life("ABABABABCA"))
    known, new, again = gained[-3 * STAY : -2 * STAY], gained[-2 * STAY : -STAY], gained[-STAY:]
    # A room is new until it is remembered.
    assert fmean(known[20:]) < 0.1 * fmean(new[5:45])
    assert fmean(again[20:]) < 0.1 * fmean(new[5:45])


def test_noise_alone_is_nothing_new() -> None:
    steady = rewards(made(), life("ABABABAB", noise=0.5))
    noisier = rewards(made(), life("ABABABAB", noise=1.0))
    new = fmean(rewards(made(), life("ABABABC", noise=1.0))[-STAY + 5 : -STAY + 45])
    assert fmean(steady[-STAY + 20 :]) < 0.1 * new
    assert fmean(noisier[-STAY + 20 :]) < 0.2 * new


def test_the_unit_of_latents_does_not_matter() -> None:
    latents = life("ABAC")
    one, other = rewards(made(), latents), rewards(made(), [10 * latent for latent in latents])
    assert other == pytest.approx(one, rel=1e-2, abs=1e-3)
    assert max(one) > 1.0


def test_it_knows_nothing_at_first() -> None:
    gained = rewards(made(), life("A"))
    assert gained[:99] == [0.0] * 99
    assert min(gained[99:]) > 0.0


def test_it_goes_on_where_it_was_saved() -> None:
    latents = life("ABCAB")
    one, other = made(), made()
    rewards(one, latents[:730])
    content = value_bytes(one.state())
    assert len(content) < one.state_bytes
    other.load_state(torch.load(io.BytesIO(content), weights_only=True))
    assert rewards(one, latents[730:]) == rewards(other, latents[730:])


def test_every_row_has_the_same_chance_to_be_remembered() -> None:
    times = torch.zeros(100)
    for seed in range(300):
        reservoir = Reservoir(10, 1, seed)
        for row in range(100):
            reservoir.add(torch.tensor([float(row)]))
        assert len(reservoir.rows) == 10
        times[reservoir.rows[:, 0].long()] += 1
    # 30 times each; of ten rows in a row, some 300.
    assert (times.reshape(10, 10).sum(1) - 300).abs().max() < 4.5 * math.sqrt(270)


@pytest.mark.parametrize(
    "settings, words", [({"gap": 0}, "at least 1"), ({"memory": 3}, "neighbours 5")]
)
def test_numbers_that_cannot_be_are_refused(settings: dict[str, int], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        SlowNovelty(**settings)
