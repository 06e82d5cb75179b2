"""The fixed physics timestep, and the loop that keeps it in real time.

Imports nothing but the standard library, so that everything may take the rate from here.
"""

from __future__ import annotations

import time
from collections.abc import Callable

PHYSICS_HZ = 30
"""Physics steps per second of world time, always."""
TIMESTEP = 1.0 / PHYSICS_HZ
"""Seconds of one physics step."""
LOCKSTEP_RATES = tuple(hz for hz in range(1, PHYSICS_HZ + 1) if PHYSICS_HZ % hz == 0)
"""Rates (Hz) with a whole number of physics steps per tick."""
_MAX_CATCH_UP = 5
"""Steps taken without rendering before lost time is dropped."""


class FixedTimestep:
    """Steps a world at `PHYSICS_HZ` on absolute deadlines and renders every n-th step.

    Args:
        step: takes one physics step.
        show: renders and shows a frame.
        steps_per_frame: n.
        scale: world seconds per wall-clock second.

    Attributes:
        skipped: frames not rendered because the loop was late.
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
        self._period = TIMESTEP / scale
        self._taken = 0
        self._deadline = time.monotonic()

    def tick(self) -> None:
        """Take a step, render unless the loop is late, and sleep until the next deadline."""
        self._step()
        self._taken += 1
        self._deadline += self._period
        behind = time.monotonic() - self._deadline
        if behind > _MAX_CATCH_UP * self._period:
            self._deadline += behind
            behind = 0.0
        if self._taken % self._steps_per_frame == 0:
            if behind > 0.0:
                self.skipped += 1
            else:
                self._show()
        time.sleep(max(0.0, self._deadline - time.monotonic()))
