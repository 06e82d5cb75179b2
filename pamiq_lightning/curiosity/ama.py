"""Aleatoric mapping agents: the prediction error above what the predicted variance explains."""

from __future__ import annotations

from pamiq_lightning.curiosity.base import Curiosity, RewardInputs, squared_error


class AMA(Curiosity):
    """Squared error minus eta times the predicted variance, averaged over the latent's elements.

    For noise of known variance the two are equal on average. Source: Mavor-Parker et al. 2022, "How
    to Stay Curious while Avoiding Noisy TVs using Aleatoric Uncertainty Estimation"
    (arXiv:2102.04399).

    Args:
        eta: weight of the variance.

    Raises:
        ValueError: a negative weight.
    """

    def __init__(self, eta: float = 1.0) -> None:
        if eta < 0:
            raise ValueError(f"eta must not be negative, got {eta}")
        self.eta = eta

    def reward(self, inputs: RewardInputs) -> float:
        """Return the error above the variance."""
        variance = float(inputs.prediction.log_var[0].exp().mean())
        return squared_error(inputs) - self.eta * variance
