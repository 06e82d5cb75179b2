"""Surprise beyond what was expected to be surprising: the error less the variance predicted."""

from __future__ import annotations

from pamiq_lightning.curiosity.base import Curiosity, RewardInputs, squared_error


class AMA(Curiosity):
    """Squared error minus eta times the predicted variance, averaged over the latent's elements.

    Of noise whose strength is known the two are equal on average. Source: Mavor-Parker et al. 2022,
    "How to stay curious while avoiding noisy TVs using aleatoric uncertainty estimation" (aleatoric
    mapping agents).

    Args:
        eta: weight of the variance.

    Raises:
        ValueError: a weight below 0.
    """

    def __init__(self, eta: float = 1.0) -> None:
        if eta < 0:
            raise ValueError(f"eta must not be negative, got {eta}")
        self.eta = eta

    def reward(self, inputs: RewardInputs) -> float:
        """Return the excess error."""
        variance = float(inputs.prediction.log_var[0].exp().mean())
        return squared_error(inputs) - self.eta * variance
