"""Small networks that some curiosity rewards need, on the features of a forward dynamics.

None of them passes a gradient on to what it stands on, so that the dynamics learn the same with
them as without. Letters: P tokens, D features of a latent, N width of the features, K heads.
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

AuxHead = Literal["ensemble", "progress", "novelty"]
"""What can be trained beside the dynamics: see `Ensemble`, `ErrorModel`, `Novelty`."""


class Ensemble(nn.Module):
    """K heads that each predict the next latent, and differ only in where they began.

    Source: Pathak et al. 2019, "Self-Supervised Exploration via Disagreement" (arXiv:1906.04161).
    There each head sees other samples; here all see the same, for what differs between batches
    would keep the heads apart for ever wherever the future is noise.

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
        """Return what each head expects: the present latent and what it thinks will change."""
        features = features.detach()
        changes = torch.stack([head(features) for head in self.heads])
        ensemble_means: Tensor = latent + changes.unflatten(-1, self.latent)
        return ensemble_means


class ErrorModel(nn.Module):
    """Expects the squared error that an earlier version of the dynamics would make.

    Source: the second network of learning progress monitoring (Hou, An, Du 2025, "Beyond
    Noisy-TVs: Noise-Robust Exploration Via Learning Progress Monitoring", arXiv:2509.25438).

    Args:
        features: N.
        hidden: its width.
    """

    def __init__(self, features: int, hidden: int = 64) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(features, hidden), nn.GELU(), nn.Linear(hidden, 1))

    def forward(self, features: Float[Tensor, "*batch N"]) -> Float[Tensor, "*batch"]:
        """Return the mean squared error expected, never below 0."""
        expected: Tensor = nn.functional.softplus(self.net(features.detach()).squeeze(-1))
        return expected


class Novelty(nn.Module):
    """A random network of the latent, and one that learns to say what it says.

    Source: Burda et al. 2018, "Exploration by Random Network Distillation" (arXiv:1810.12894). It
    looks at latents, not at pixels.

    Args:
        latent: (P, D).
        outputs: numbers that the random network makes.
        hidden: width of both.
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
        """Return the mean squared error about every latent."""
        error: Tensor = (self.predictor(latent) - self.target(latent)).square().mean(dim=-1)
        return error
