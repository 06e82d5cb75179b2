"""Learners and a reward that go wrong now and then, to be named in settings."""

from __future__ import annotations

import torch
from tensordict import TensorDict
from torch import Tensor

from pamiq_lightning.curiosity.base import RewardInputs
from pamiq_lightning.curiosity.prediction_error import PredictionError
from pamiq_lightning.learners.dynamics import SioConvDynamics
from pamiq_lightning.learners.ijepa import IJEPA

EVERY = 7
"""Calls from one fault to the next."""
IN_A_ROW = 50
"""Calls from one series of faults to the next; a series is long enough to be rolled back."""
REWARDS_BETWEEN = 61
"""Sound rewards between two that are not: the dynamics need unbroken slices."""
ABSURD = 1e8


class _Clumsy:
    """Counts calls and says which go wrong."""

    def __init__(self) -> None:
        self._calls = 0

    def goes_wrong(self) -> bool:
        self._calls += 1
        return self._calls % EVERY == 0 or self._calls % IN_A_ROW < 3


class NanLossDynamics(SioConvDynamics):
    """Its loss is not a number now and then."""

    def training_step(self, batch: TensorDict, batch_idx: int) -> Tensor:
        """Train, or not."""
        loss = super().training_step(batch, batch_idx)
        self.__dict__.setdefault("clumsy", _Clumsy())
        return loss * float("nan") if self.__dict__["clumsy"].goes_wrong() else loss


class InfGradientIJEPA(IJEPA):
    """Its gradient is infinite now and then, while its loss is sound."""

    def on_after_backward(self) -> None:
        """Spoil one gradient, or not."""
        self.__dict__.setdefault("clumsy", _Clumsy())
        if self.__dict__["clumsy"].goes_wrong():
            next(p.grad for p in self.parameters() if p.grad is not None).fill_(float("inf"))


class Absurdity(PredictionError):  # noqa: N818
    """Surprise that is absurd, infinite or not a number now and then."""

    def __init__(self) -> None:
        self._count = 0

    def reward(self, inputs: RewardInputs) -> float:
        """Return the surprise, or nonsense."""
        self._count += 1
        if self._count % REWARDS_BETWEEN:
            return super().reward(inputs)
        return (ABSURD, float("nan"), float("inf"))[self._count // REWARDS_BETWEEN % 3]


def all_finite(state: dict[str, Tensor]) -> bool:
    """Tell whether every number of a state dict is one."""
    return all(bool(torch.isfinite(tensor).all()) for tensor in state.values())
