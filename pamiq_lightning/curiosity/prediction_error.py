"""Prediction error: the surprise at the observation, as a negative log-likelihood."""

from __future__ import annotations

from pamiq_lightning.curiosity.base import Curiosity, RewardInputs
from pamiq_lightning.nets.forward_dynamics import normal_nll


class PredictionError(Curiosity):
    """-log p(z_t | what was seen up to step t-1-k), in nats, averaged over the latent's elements.

    The reward of the original P-AMI<Q>. Pure noise stays surprising for ever. With K imaginations
    in flight, each advanced by the actions really taken, imagination k has weight (1 - 1/K)^k.
    Source of the idea: Pathak et al. 2017, "Curiosity-driven Exploration by Self-supervised
    Prediction" (arXiv:1705.05363).

    Args:
        imaginations: how many are in flight (K); 1 predicts one step.

    Raises:
        ValueError: fewer than one.
    """

    def __init__(self, imaginations: int = 1) -> None:
        if imaginations < 1:
            raise ValueError(f"imaginations must be at least 1, got {imaginations}")
        self.horizon = imaginations
        self._weights = [(1 - 1 / imaginations) ** k for k in range(imaginations)]

    def reward(self, inputs: RewardInputs) -> float:
        """Return the weighted mean of the imaginations' negative log-likelihoods."""
        prediction = inputs.prediction
        mean, log_var = prediction.mean[: self.horizon], prediction.log_var[: self.horizon]
        nll = normal_nll(inputs.latent.expand_as(mean), mean, log_var).mean(dim=(-2, -1))
        weights = nll.new_tensor(self._weights[: len(nll)])
        return float((weights * nll).sum() / weights.sum())
