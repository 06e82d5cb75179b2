"""Disagreement: how far several ensemble_means on what comes next lie apart."""

from __future__ import annotations

from pamiq_lightning.curiosity.base import Curiosity, RewardInputs
from pamiq_lightning.nets.aux_heads import AuxHead


class Disagreement(Curiosity):
    """The variance of the ensemble's ensemble_means, averaged over the latent's elements.

    What came does not matter: all heads expect the mean of a noise they know. Source: Pathak et al.
    2019 (arXiv:1906.04161).
    """

    aux_heads: tuple[AuxHead, ...] = ("ensemble",)

    def reward(self, inputs: RewardInputs) -> float:
        """Return the variance."""
        ensemble_means = inputs.prediction.ensemble_means
        if ensemble_means is None:
            raise ValueError("the dynamics have no ensemble: its `aux_heads` lack `ensemble`")
        return float(ensemble_means[:, 0].var(dim=0, correction=0).mean())
