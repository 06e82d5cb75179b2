"""Turns actions into OSC input values: disabled categories, turn speed, smoothed axes."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp

import numpy as np
from numpy.typing import NDArray

from agent.actions import ACTIONS, inputs

_TURN = "/input/LookHorizontal"
_LONGEST_STEP_S = 0.1  # After a pause an axis moves as after one tick, without a leap.
_CLOSE = 0.01  # A first-order filter never arrives: this close counts as arrived.


class ActionFilter:
    """Maps actions to input values as the settings ask.

    Args:
        disabled_actions: categories (`agent.actions`) that are never used, such as jump.
        turn_speed: value sent for turning, above 0.5 (VRChat ignores less) and up to 1.
        smoothing_s: time constant of a first-order filter on the axes, in seconds; 0 is none.

    Raises:
        ValueError: an unknown category, or a number outside its range.
    """

    def __init__(
        self,
        disabled_actions: Sequence[str] = (),
        turn_speed: float = 1.0,
        smoothing_s: float = 0.0,
    ) -> None:
        names = [axis.name for axis in ACTIONS]
        if unknown := [name for name in disabled_actions if name not in names]:
            raise ValueError(f"no action category {unknown[0]!r}; there are {', '.join(names)}")
        if not 0.5 < turn_speed <= 1.0:
            raise ValueError(
                f"turn_speed must be above 0.5, below which VRChat does not turn, and at most 1; "
                f"got {turn_speed}"
            )
        if smoothing_s < 0.0:
            raise ValueError(f"smoothing_s must not be negative, got {smoothing_s}")
        self._disabled = [axis.name in disabled_actions for axis in ACTIONS]
        self._axes = [axis.address for axis in ACTIONS if isinstance(axis.values[0], float)]
        self._turn_speed = turn_speed
        self._smoothing_s = smoothing_s
        self._smoothed = dict.fromkeys(self._axes, 0.0)
        self._before = 0.0

    def inputs(self, action: NDArray[np.int64], now: float) -> dict[str, float | int]:
        """Translate an action (A,) at `now` (monotonic s) into OSC addresses and values.

        Raises:
            ValueError: no such category or choice.
        """
        wanted = inputs(np.where(self._disabled, 0, action) if any(self._disabled) else action)
        wanted[_TURN] *= self._turn_speed
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
        """Set every axis to 0 at once."""
        self._smoothed = dict.fromkeys(self._axes, 0.0)


def _nearer(value: float, goal: float, share: float) -> float:
    value += share * (goal - value)
    return goal if abs(goal - value) < _CLOSE else value
