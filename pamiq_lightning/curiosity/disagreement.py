"""Disagreement: how far several opinions on what comes next lie apart."""

from __future__ import annotations

from pamiq_lightning.curiosity.base import Curiosity, Evidence
from pamiq_lightning.nets.curiosity_parts import Extra


class Disagreement(Curiosity):
    """The variance of the ensemble's opinions, averaged over the latent's elements.

    What came does not matter: all heads expect the mean of a noise they know. Source: Pathak et al.
    2019 (arXiv:1906.04161).
    """

    extras: tuple[Extra, ...] = ("ensemble",)

    def reward(self, evidence: Evidence) -> float:
        """Return the variance."""
        opinions = evidence.prediction.opinions
        if opinions is None:
            raise ValueError("the dynamics have no ensemble: its `extras` lack `ensemble`")
        return float(opinions[:, 0].var(dim=0, correction=0).mean())
