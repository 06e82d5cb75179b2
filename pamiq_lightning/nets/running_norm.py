"""Normalises inputs by their running mean and variance."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

CLIP = 5.0
"""Largest absolute normalised value, as in RND (arXiv:1810.12894)."""


class RunningNorm(nn.Module):
    """Each number less its running mean, over its running standard deviation, clipped to `CLIP`.

    LayerNorm alone keeps what is the same in every input, which is most of a latent. Without an
    update the inputs pass unchanged.

    Args:
        shape: of one input.
        decay: of the running mean and variance, per update.
    """

    mean: Tensor
    square: Tensor
    weight: Tensor
    shift: Tensor
    scale: Tensor
    limit: Tensor

    def __init__(self, shape: tuple[int, ...], decay: float = 0.95) -> None:
        super().__init__()
        self.decay = decay
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("square", torch.zeros(shape))
        self.register_buffer("weight", torch.zeros(()))
        # What follows from these, for the tick: (inputs - shift) * scale, clipped to the limit.
        self.register_buffer("shift", torch.zeros(shape))
        self.register_buffer("scale", torch.ones(shape))
        self.register_buffer("limit", torch.tensor(torch.finfo(torch.float32).max))

    @torch.no_grad()
    def update(self, inputs: Float[Tensor, "N ..."]) -> None:
        """Take account of new inputs."""
        if not len(inputs):
            return
        self.mean.lerp_(inputs.mean(dim=0), 1 - self.decay)
        self.square.lerp_(inputs.square().mean(dim=0), 1 - self.decay)
        self.weight.lerp_(torch.ones_like(self.weight), 1 - self.decay)
        self.shift.copy_(self.mean / self.weight)
        variance = self.square / self.weight - self.shift.square()
        # A number that has hardly varied yet must not outweigh the others.
        floor = (0.01 * variance.mean()).clamp(min=1e-12)
        self.scale.copy_(variance.clamp(min=floor).rsqrt())
        self.limit.fill_(CLIP)

    def forward(self, inputs: Float[Tensor, "B ..."]) -> Float[Tensor, "B ..."]:
        """Normalise inputs."""
        return ((inputs - self.shift) * self.scale).clamp(-self.limit, self.limit)
