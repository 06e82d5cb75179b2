"""Alarms for a collapsed encoder, whose loss tells nothing of it."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def rank_me(latents: Float[Tensor, "F P D"]) -> float:
    """Return the effective rank of the latents of F frames, without each token's mean.

    exp of the entropy of the normalised singular values (Garrido et al. 2023, arXiv:2210.02885).
    With the means, an encoder that knows positions and no content would look rich.
    """
    content = (latents - latents.mean(dim=0)).flatten(0, 1).double()
    singular = torch.linalg.eigvalsh(content.T @ content).clamp(min=0).sqrt()
    share = singular / singular.sum().clamp(min=1e-12) + 1e-12
    return float((-(share * share.log()).sum()).exp())


def content_std(latents: Float[Tensor, "F P D"]) -> Tensor:
    """Return the mean standard deviation of the latents of F frames, without each token's mean."""
    return (latents - latents.mean(dim=0)).flatten(0, 1).std(dim=0).mean()
