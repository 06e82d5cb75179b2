"""Disagreement: the variance of an ensemble of predictions."""

from __future__ import annotations

from pamiq_lightning.curiosity.base import Curiosity, RewardInputs
from pamiq_lightning.nets.aux_heads import AuxHead


class Disagreement(Curiosity):
    """The variance of the ensemble's means, averaged over the latent's elements.

    It does not depend on the observation at t: where the next latent is noise, all trained heads
    predict its mean. Source: Pathak et al. 2019, "Self-Supervised Exploration via Disagreement"
    (arXiv:1906.04161).
    """

    aux_heads: tuple[AuxHead, ...] = ("ensemble",)

    def reward(self, inputs: RewardInputs) -> float:
        """Return the variance."""
        means = inputs.prediction.ensemble_means
        if means is None:
            raise ValueError("the dynamics have no ensemble: their `aux_heads` lack `ensemble`")
        return float(means[:, 0].var(dim=0, correction=0).mean())
