"""Learning progress: how much better the dynamics have become at this than they were."""

from __future__ import annotations

from pamiq_lightning.curiosity.base import Curiosity, RewardInputs, squared_error
from pamiq_lightning.nets.aux_heads import AuxHead


class LearningProgress(Curiosity):
    """The squared error that an earlier version would be expected to make, minus the present one.

    Noise is as surprising to one as to the other, and what is known has nothing left to improve.
    The earlier error is that expected by a small model, for one version's error at one moment is
    mostly chance. How much earlier: the dynamics' `progress_rounds`. Source: learning progress
    monitoring, Hou, An, Du 2025 (arXiv:2509.25438).
    """

    aux_heads: tuple[AuxHead, ...] = ("progress",)

    def reward(self, inputs: RewardInputs) -> float:
        """Return the progress; it is negative where the present version is worse than expected."""
        expected = inputs.prediction.expected_error
        if expected is None:
            raise ValueError("the dynamics have no error model: its `aux_heads` lack `progress`")
        return float(expected[0]) - squared_error(inputs)
