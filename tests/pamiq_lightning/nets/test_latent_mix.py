from __future__ import annotations

import torch

from pamiq_lightning.nets.latent_mix import LatentMix


def test_mix_is_the_weighted_sum_of_token_features() -> None:
    mix = LatentMix((3, 4), 5)
    latent = torch.randn(2, 3, 4)
    share = mix.score(latent).squeeze(-1).softmax(-1)
    expected = sum(
        share[:, p, None] * (latent[:, p] @ mix.weight[p] + mix.bias[p]) for p in range(3)
    )
    torch.testing.assert_close(mix(latent), expected)


def test_mix_depends_on_the_positions_of_tokens() -> None:
    mix = LatentMix((3, 4), 5)
    latent = torch.randn(1, 3, 4)
    assert not torch.allclose(mix(latent), mix(latent.flip(1)))
