"""Surprise: how improbable what was seen is to who expected something else."""

from __future__ import annotations

from pamiq_lightning.curiosity.base import Curiosity, RewardInputs
from pamiq_lightning.nets.forward_dynamics import normal_nll


class PredictionError(Curiosity):
    """-log p(z_t | what was known k+1 steps before), in nats, averaged over the latent's elements.

    The reward of the original P-AMI<Q>; its known weakness is that pure noise stays surprising for
    ever. With more than one imagination, those in flight are advanced by the actions really taken,
    and the one that began k steps before the newest weighs (1 - 1/K)^k.

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
        """Return the weighted mean of the negative log-likelihoods of the latent that came."""
        prediction = inputs.prediction
        mean, log_var = prediction.mean[: self.horizon], prediction.log_var[: self.horizon]
        nll = normal_nll(inputs.latent.expand_as(mean), mean, log_var).mean(dim=(-2, -1))
        weights = nll.new_tensor(self._weights[: len(nll)])
        return float((weights * nll).sum() / weights.sum())
