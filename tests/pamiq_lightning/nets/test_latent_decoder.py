from __future__ import annotations

import pytest
import torch

from pamiq_lightning.nets.latent_decoder import LatentDecoder


def test_decoder_returns_images_of_the_given_size() -> None:
    assert LatentDecoder((36, 32), 96, 8)(torch.randn(2, 36, 32)).shape == (2, 3, 96, 96)


def test_decoder_uses_the_level_of_its_channels() -> None:
    decoder = LatentDecoder((4, 8), 8, 8)
    latent = torch.randn(1, 4, 8)
    # A norm of each channel would remove a shift of all features.
    assert not torch.allclose(decoder(latent), decoder(latent + 1.0), atol=1e-2)


@pytest.mark.parametrize("tokens, size", [(5, 16), (4, 12), (9, 16)])
def test_impossible_sizes_are_refused(tokens: int, size: int) -> None:
    with pytest.raises(ValueError, match="cannot be decoded"):
        LatentDecoder((tokens, 8), size, 8)
