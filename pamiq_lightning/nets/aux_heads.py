"""Auxiliary heads that some intrinsic rewards need, on the features of a forward dynamics.

They pass no gradient back to the features: the dynamics learn the same with and without them.
Letters: P tokens, D features of a latent, N size of the features, K heads.
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

AuxHead = Literal["ensemble", "progress", "novelty"]
"""Names in settings of `Ensemble`, `ErrorModel` and `Novelty`."""


class Ensemble(nn.Module):
    """K heads that each predict the next latent and differ only in their initialisation.

    Source: Pathak et al. 2019, "Self-Supervised Exploration via Disagreement" (arXiv:1906.04161).
    There each head trains on other samples; here all train on the same, because different batches
    would keep the heads apart for ever where the future is noise.

    Args:
        latent: (P, D).
        features: N.
        heads: K.
        hidden: width of each head.
    """

    def __init__(
        self, latent: tuple[int, int], features: int, heads: int = 5, hidden: int = 64
    ) -> None:
        super().__init__()
        P, D = latent
        self.latent = latent
        self.heads = nn.ModuleList(
            nn.Sequential(nn.Linear(features, hidden), nn.GELU(), nn.Linear(hidden, P * D))
            for _ in range(heads)
        )

    def forward(
        self, features: Float[Tensor, "*batch N"], latent: Float[Tensor, "*batch P D"]
    ) -> Float[Tensor, "K *batch P D"]:
        """Return the next latent predicted by each head: the present latent plus a change."""
        features = features.detach()
        changes = torch.stack([head(features) for head in self.heads])
        means: Tensor = latent + changes.unflatten(-1, self.latent)
        return means


class ErrorModel(nn.Module):
    """Predicts the squared error of an earlier version of the dynamics.

    Source: the second network of learning progress monitoring (Hou, An, Du 2025, "Beyond
    Noisy-TVs: Noise-Robust Exploration Via Learning Progress Monitoring", arXiv:2509.25438).

    Args:
        features: N.
        hidden: width of the hidden layer.
    """

    def __init__(self, features: int, hidden: int = 64) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(features, hidden), nn.GELU(), nn.Linear(hidden, 1))

    def forward(self, features: Float[Tensor, "*batch N"]) -> Float[Tensor, "*batch"]:
        """Return the expected mean squared error, at least 0."""
        expected: Tensor = nn.functional.softplus(self.net(features.detach()).squeeze(-1))
        return expected


class Novelty(nn.Module):
    """Random network distillation: a fixed random network of the latent, and one that predicts it.

    Source: Burda et al. 2018, "Exploration by Random Network Distillation" (arXiv:1810.12894), on
    latents instead of pixels.

    Args:
        latent: (P, D).
        outputs: size of the random network's output.
        hidden: width of both networks.
    """

    def __init__(self, latent: tuple[int, int], outputs: int = 64, hidden: int = 128) -> None:
        super().__init__()
        inputs = latent[0] * latent[1]
        self.target = nn.Sequential(
            nn.Flatten(-2), nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, outputs)
        )
        self.predictor = nn.Sequential(
            nn.Flatten(-2),
            nn.Linear(inputs, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, outputs),
        )
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                nn.init.orthogonal_(layer.weight, 2**0.5)
                nn.init.zeros_(layer.bias)
        self.target.requires_grad_(False)

    def forward(self, latent: Float[Tensor, "*batch P D"]) -> Float[Tensor, "*batch"]:
        """Return the mean squared error for each latent."""
        error: Tensor = (self.predictor(latent) - self.target(latent)).square().mean(dim=-1)
        return error
