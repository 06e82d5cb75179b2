"""The contract of a curiosity reward."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from pamiq_lightning.nets.forward_dynamics import Prediction


@dataclass(frozen=True)
class Evidence:
    """What the mind knows of the transition t-1 -> t when it rewards it.

    Attributes:
        latent: (P, D), what was seen at t.
        last_latent: (P, D), what was seen at t-1.
        prediction: what was expected at t-1, leading dimension 1.
    """

    latent: Float[Tensor, "P D"]
    last_latent: Float[Tensor, "P D"]
    prediction: Prediction


class Curiosity(ABC):
    """A reward; its scale does not matter, the policy learner divides by a running one."""

    @abstractmethod
    def reward(self, evidence: Evidence) -> float:
        """Return the raw reward of one transition."""
