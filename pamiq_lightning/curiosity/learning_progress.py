"""Learning progress: how far the prediction error is below that of an earlier model."""

from __future__ import annotations

from pamiq_lightning.curiosity.base import Curiosity, RewardInputs, squared_error
from pamiq_lightning.nets.aux_heads import AuxHead


class LearningProgress(Curiosity):
    """The squared error expected of an earlier version, minus that of the present one.

    Noise is as hard to predict for both, and at what is learned neither improves. A small model
    gives the expected error: one version's error in one step is mostly random. `progress_rounds` of
    the dynamics says how much earlier. Source: learning progress monitoring, Hou, An, Du 2025,
    "Beyond Noisy-TVs" (arXiv:2509.25438).
    """

    aux_heads: tuple[AuxHead, ...] = ("progress",)

    def reward(self, inputs: RewardInputs) -> float:
        """Return the progress; negative where the error is larger than expected."""
        expected = inputs.prediction.expected_error
        if expected is None:
            raise ValueError("the dynamics have no error model: their `aux_heads` lack `progress`")
        return float(expected[0]) - squared_error(inputs)
