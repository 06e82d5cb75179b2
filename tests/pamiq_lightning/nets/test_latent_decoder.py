from __future__ import annotations

import pytest
import torch

from pamiq_lightning.nets.latent_decoder import LatentDecoder


def test_draws_at_the_size_asked_for() -> None:
    assert LatentDecoder((36, 32), 96, 8)(torch.randn(2, 36, 32)).shape == (2, 3, 96, 96)


def test_keeps_the_level_of_the_channels() -> None:
    decoder = LatentDecoder((4, 8), 8, 8)
    latent = torch.randn(1, 4, 8)
    # A shift of all features alike is what a per-channel norm would throw away.
    assert not torch.allclose(decoder(latent), decoder(latent + 1.0), atol=1e-2)


@pytest.mark.parametrize("tokens, size", [(5, 16), (4, 12), (9, 16)])
def test_impossible_sizes_are_refused(tokens: int, size: int) -> None:
    with pytest.raises(ValueError, match="cannot be drawn"):
        LatentDecoder((tokens, 8), size, 8)
