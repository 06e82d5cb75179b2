"""Learners that go wrong now and then, to be named in settings."""

from __future__ import annotations

from tensordict import TensorDict
from torch import Tensor

from pamiq_lightning.learners.dynamics import SioConvDynamics
from pamiq_lightning.learners.ijepa import IJEPA

EVERY = 7
"""Calls from one fault to the next."""
SERIES_EVERY = 50
"""Calls from one series of faults to the next; a series is long enough for a rollback."""


class _FaultSchedule:
    """Counts calls and says which of them fail."""

    def __init__(self) -> None:
        self._calls = 0

    def fails(self) -> bool:
        self._calls += 1
        return self._calls % EVERY == 0 or self._calls % SERIES_EVERY < 3


class NanLossDynamics(SioConvDynamics):
    """Its loss is not a number now and then."""

    def training_step(self, batch: TensorDict, batch_idx: int) -> Tensor:
        """Return the loss or NaN."""
        loss = super().training_step(batch, batch_idx)
        self.__dict__.setdefault("schedule", _FaultSchedule())
        return loss * float("nan") if self.__dict__["schedule"].fails() else loss


class InfGradientIJEPA(IJEPA):
    """Its gradient is infinite now and then, while its loss is finite."""

    def on_after_backward(self) -> None:
        """Make one gradient infinite, or none."""
        self.__dict__.setdefault("schedule", _FaultSchedule())
        if self.__dict__["schedule"].fails():
            next(p.grad for p in self.parameters() if p.grad is not None).fill_(float("inf"))
