"""A reward that breaks the mind when a file tells it to."""

from __future__ import annotations

import time
from pathlib import Path

from pamiq_lightning.curiosity.base import Curiosity, RewardInputs


class Faulty(Curiosity):
    """Rewards nothing, and raises or hangs once the trigger file says so.

    Args:
        trigger: a file that holds `raise`, or `hang SECONDS`; it is replaced by one with the suffix
            `.done` that holds the time the fault began (monotonic s).
    """

    def __init__(self, trigger: str) -> None:
        self._trigger = Path(trigger)

    def reward(self, inputs: RewardInputs) -> float:
        """Return 0, or fail as told."""
        if self._trigger.exists():
            command = self._trigger.read_text().split()
            self._trigger.unlink()
            self._trigger.with_suffix(".done").write_text(str(time.monotonic()))
            if command[0] == "raise":
                raise ArithmeticError("this mind was told to break")
            time.sleep(float(command[1]))
        return 0.0
