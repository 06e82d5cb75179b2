"""Surprise: how improbable what was seen is to who expected something else."""

from __future__ import annotations

from pamiq_lightning.curiosity.base import Curiosity, Evidence
from pamiq_lightning.nets.forward_dynamics import normal_nll


class PredictionError(Curiosity):
    """-log p(z_t | z_{t-1}, h_{t-1}, a_{t-1}) in nats, averaged over the latent's elements.

    The reward of the original P-AMI<Q> with K = 1 imagination; its known weakness is that pure
    noise stays surprising for ever.
    """

    def reward(self, evidence: Evidence) -> float:
        """Return the mean negative log-likelihood of the latent that came."""
        prediction = evidence.prediction
        nll = normal_nll(evidence.latent, prediction.mean[0], prediction.log_var[0])
        return float(nll.mean())
