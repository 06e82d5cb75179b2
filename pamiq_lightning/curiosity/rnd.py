"""Random network distillation: how new what is seen is, whatever led there."""

from __future__ import annotations

from pamiq_lightning.curiosity.base import Curiosity, RewardInputs
from pamiq_lightning.nets.aux_heads import AuxHead


class RND(Curiosity):
    """The error of a network that learns what a fixed random network says of the latent.

    It knows of no dynamics: a picture never seen before is new, be it noise or not. Source: Burda
    et al. 2018 (arXiv:1810.12894). Both networks are the dynamics' and saved with them.
    """

    aux_heads: tuple[AuxHead, ...] = ("novelty",)

    def reward(self, inputs: RewardInputs) -> float:
        """Return the error."""
        if inputs.novelty is None:
            raise ValueError("the dynamics have no random network: its `aux_heads` lack `novelty`")
        return float(inputs.novelty)
