"""How strongly the limbs are used: masked categories, the speed of looking, smoothed axes."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp

import numpy as np
from numpy.typing import NDArray

from agent.actions import ACTIONS, inputs

_LOOK = "/input/LookHorizontal"
_LONGEST_STEP_S = 0.1  # After a pause an axis starts moving as after one tick, with no leap.
_CLOSE = 0.01  # An axis this close to its goal is there: a filter alone never arrives.


class ActionFilter:
    """Turns actions into inputs the way the settings ask for.

    Args:
        masked: names of categories (`agent.actions`) that are never used, such as jump and run.
        turn_speed: what a full turn sends, above 0.5 and up to 1: VRChat ignores less.
        smoothing_s: time constant of a first-order filter on the axes, in seconds; 0 is none.

    Raises:
        ValueError: an unknown category, or a number outside its range.
    """

    def __init__(
        self, masked: Sequence[str] = (), turn_speed: float = 1.0, smoothing_s: float = 0.0
    ) -> None:
        names = [axis.name for axis in ACTIONS]
        if unknown := [name for name in masked if name not in names]:
            raise ValueError(f"no limb is called {unknown[0]!r}; there are {', '.join(names)}")
        if not 0.5 < turn_speed <= 1.0:
            raise ValueError(
                f"turn_speed must be above 0.5, below which VRChat does not turn, and at most 1; "
                f"got {turn_speed}"
            )
        if smoothing_s < 0.0:
            raise ValueError(f"smoothing_s must not be negative, got {smoothing_s}")
        self._masked = [axis.name in masked for axis in ACTIONS]
        self._axes = [axis.address for axis in ACTIONS if isinstance(axis.values[0], float)]
        self._look_speed = turn_speed
        self._smoothing_s = smoothing_s
        self._smoothed = dict.fromkeys(self._axes, 0.0)
        self._before = 0.0

    def inputs(self, action: NDArray[np.int64], now: float) -> dict[str, float | int]:
        """Translate an action (A,) at `now` (monotonic s) into OSC addresses and values.

        Raises:
            ValueError: a category or choice that no limb has.
        """
        wanted = inputs(np.where(self._masked, 0, action) if any(self._masked) else action)
        wanted[_LOOK] *= self._look_speed
        if self._smoothing_s > 0.0:
            step = min(max(now - self._before, 0.0), _LONGEST_STEP_S)
            self._before = now
            share = 1.0 - exp(-step / self._smoothing_s)
            for axis in self._axes:
                wanted[axis] = self._smoothed[axis] = _nearer(
                    self._smoothed[axis], wanted[axis], share
                )
        return wanted

    def release_inputs(self) -> None:
        """Let every axis fall to 0 at once."""
        self._smoothed = dict.fromkeys(self._axes, 0.0)


def _nearer(value: float, goal: float, share: float) -> float:
    value += share * (goal - value)
    return goal if abs(goal - value) < _CLOSE else value
