"""Rewards that go wrong: when a trigger file says so, or now and then."""

from __future__ import annotations

import time
from pathlib import Path

from pamiq_lightning.curiosity.base import Curiosity, RewardInputs
from pamiq_lightning.curiosity.prediction_error import PredictionError

REWARDS_BETWEEN = 61
"""Valid rewards between two others: the dynamics need unbroken sequences."""
OUTLIERS = (1e8, float("nan"), float("inf"))


class TriggeredFault(Curiosity):
    """Rewards nothing, and raises or hangs once the trigger file says so.

    Args:
        trigger: a file that holds `raise` or `hang SECONDS`; it is replaced by one with the suffix
            `.done` that holds the time at which the fault began (monotonic s).
    """

    def __init__(self, trigger: str) -> None:
        self._trigger = Path(trigger)

    def reward(self, inputs: RewardInputs) -> float:
        """Return 0, or fail as triggered."""
        if self._trigger.exists():
            command = self._trigger.read_text().split()
            self._trigger.unlink()
            self._trigger.with_suffix(".done").write_text(str(time.monotonic()))
            if command[0] == "raise":
                raise ArithmeticError("this reward was triggered to fail")
            time.sleep(float(command[1]))
        return 0.0


class OutlierReward(PredictionError):  # noqa: N818
    """The prediction error; now and then a huge, infinite or undefined number instead."""

    def __init__(self) -> None:
        super().__init__()
        self._count = 0

    def reward(self, inputs: RewardInputs) -> float:
        """Return the prediction error or an outlier."""
        self._count += 1
        if self._count % REWARDS_BETWEEN:
            return super().reward(inputs)
        return OUTLIERS[self._count // REWARDS_BETWEEN % len(OUTLIERS)]
