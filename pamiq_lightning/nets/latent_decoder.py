"""Decodes latents into images, for display alone.

Letters: B batch, P tokens, D features, C channels, H W pixels.
"""

from __future__ import annotations

import math

from jaxtyping import Float
from torch import Tensor, nn


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with a residual connection."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        # One group over all channels: a norm of each channel would remove its absolute level, which
        # is colour.
        self.body = nn.Sequential(
            nn.GroupNorm(1, channels),
            nn.SiLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.GroupNorm(1, channels),
            nn.SiLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
        )

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """Apply the block."""
        out: Tensor = x + self.body(x)
        return out


class LatentDecoder(nn.Module):
    """Latent tokens as a square map -> residual blocks and upsampling -> an image.

    Args:
        latent: (P, D); P must be a square number.
        image_size: side of the image, in pixels: sqrt(P) times a power of two.
        channels: hidden channels.

    Raises:
        ValueError: P or image_size is impossible.
    """

    def __init__(self, latent: tuple[int, int], image_size: int, channels: int) -> None:
        super().__init__()
        side = math.isqrt(latent[0])
        doublings = math.log2(image_size / side)
        if side * side != latent[0] or doublings != int(doublings):
            raise ValueError(
                f"{latent[0]} tokens cannot be decoded to {image_size} pixels: tokens must be a "
                "square number and image_size their side times a power of two"
            )
        self.side = side
        layers: list[nn.Module] = [nn.Conv2d(latent[1], channels, 3, padding=1)]
        for _ in range(int(doublings)):
            layers += [ResidualBlock(channels), nn.Upsample(scale_factor=2, mode="nearest")]
        layers += [ResidualBlock(channels), nn.SiLU(), nn.Conv2d(channels, 3, 3, padding=1)]
        self.net = nn.Sequential(*layers)

    def forward(self, latent: Float[Tensor, "B P D"]) -> Float[Tensor, "B 3 H W"]:
        """Return standardised images."""
        out: Tensor = self.net(latent.transpose(1, 2).unflatten(2, (self.side, self.side)))
        return out
