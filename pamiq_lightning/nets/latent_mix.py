"""Mixes the tokens of a latent into one vector, with attention-like weights.

Letters: P tokens, D features of a token, F features of the mix.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn


class LatentMix(nn.Module):
    """Each token has its own Linear D -> F and its own score; the result is their weighted sum.

    Args:
        latent: (P, D).
        features: size of the result (F).
    """

    def __init__(self, latent: tuple[int, int], features: int) -> None:
        super().__init__()
        P, D = latent
        bound = 1 / math.sqrt(D)
        self.weight = nn.Parameter(torch.empty(P, D, features).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(P, features))
        self.score = nn.Linear(D, 1)

    def forward(self, latent: Float[Tensor, "*batch P D"]) -> Float[Tensor, "*batch F"]:
        """Mix the tokens of each latent."""
        tokens = torch.einsum("...pd,pdf->...pf", latent, self.weight) + self.bias
        share = self.score(latent).softmax(dim=-2)
        mixed: Tensor = (share * tokens).sum(dim=-2)
        return mixed
