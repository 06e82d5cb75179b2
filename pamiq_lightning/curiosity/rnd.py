"""Random network distillation: how new the observation is, whatever led to it."""

from __future__ import annotations

from pamiq_lightning.curiosity.base import Curiosity, RewardInputs
from pamiq_lightning.nets.aux_heads import AuxHead


class RND(Curiosity):
    """The error of a network trained to predict a fixed random network of the latent.

    It uses no dynamics: an image that was never seen is new, noise included. Both networks belong
    to the dynamics and are saved with them. Source: Burda et al. 2018, "Exploration by Random
    Network Distillation" (arXiv:1810.12894).
    """

    aux_heads: tuple[AuxHead, ...] = ("novelty",)

    def reward(self, inputs: RewardInputs) -> float:
        """Return the error."""
        if inputs.novelty is None:
            raise ValueError(
                "the dynamics have no random network: their `aux_heads` lack `novelty`"
            )
        return float(inputs.novelty)
