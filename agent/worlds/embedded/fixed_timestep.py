"""Real time: physics steps on absolute deadlines, and frames as far as there is time for them."""

from __future__ import annotations

import time
from collections.abc import Callable

from agent.worlds.embedded.physics import STEP

_LATEST_CATCH_UP = 5
"""Steps taken without drawing before lost time is given up."""


class FixedTimestep:
    """Steps a world 30 times a second and shows every n-th step.

    Args:
        step: takes one physics step.
        show: draws and shows the world.
        steps_per_frame: n.
        scale: seconds of the world's time to a second on the wall.

    Attributes:
        skipped: frames that were not shown because the machine was late.
    """

    def __init__(
        self,
        step: Callable[[], None],
        show: Callable[[], None],
        steps_per_frame: int = 1,
        scale: float = 1.0,
    ) -> None:
        self.skipped = 0
        self._step, self._show = step, show
        self._steps_per_frame = steps_per_frame
        self._period = STEP / scale
        self._taken = 0
        self._deadline = time.monotonic()

    def tick(self) -> None:
        """Take a step, show it unless that would make the next one late, and wait for the next."""
        self._step()
        self._taken += 1
        self._deadline += self._period
        behind = time.monotonic() - self._deadline
        if behind > _LATEST_CATCH_UP * self._period:
            self._deadline += behind
            behind = 0.0
        if self._taken % self._steps_per_frame == 0:
            if behind > 0.0:
                self.skipped += 1
            else:
                self._show()
        time.sleep(max(0.0, self._deadline - time.monotonic()))
