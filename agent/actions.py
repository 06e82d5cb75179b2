"""The action space: which action category drives which VRChat input, in one table.

One sign convention everywhere: Vertical + is forward, Horizontal + is right, LookHorizontal + turns
right (VRChat's own, https://docs.vrchat.com/docs/osc-as-input-controller).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class ActionAxis:
    """One action category: the OSC input it drives and the value each choice sends."""

    name: str
    address: str
    values: tuple[float, ...] | tuple[int, ...]
    """Value sent for choice 0, 1, 2 ...; choice 0 is neutral. Axes are floats, buttons ints."""
    tap: bool = False
    """Whether choosing it twice in a row presses twice (jump); otherwise it stays held (run)."""


ACTIONS = (
    ActionAxis("vertical", "/input/Vertical", (0.0, 1.0, -1.0)),
    ActionAxis("horizontal", "/input/Horizontal", (0.0, 1.0, -1.0)),
    ActionAxis("look", "/input/LookHorizontal", (0.0, 1.0, -1.0)),
    ActionAxis("jump", "/input/Jump", (0, 1), tap=True),
    ActionAxis("run", "/input/Run", (0, 1)),
)
CHOICES = tuple(len(axis.values) for axis in ACTIONS)
"""How many choices each category has: the MultiDiscrete action space."""
NEUTRAL: dict[str, float | int] = {axis.address: axis.values[0] for axis in ACTIONS}
"""Every input released."""


def inputs(action: NDArray[np.int64]) -> dict[str, float | int]:
    """Translate an action (A,) into OSC addresses and values.

    Raises:
        ValueError: a category or choice that does not exist.
    """
    if len(action) != len(ACTIONS):
        raise ValueError(f"an action has {len(ACTIONS)} categories, got {len(action)}")
    out: dict[str, float | int] = {}
    for axis, choice in zip(ACTIONS, action.tolist(), strict=True):
        if not 0 <= choice < len(axis.values):
            raise ValueError(f"{axis.name} has choices 0 to {len(axis.values) - 1}, got {choice}")
        out[axis.address] = axis.values[choice]
    return out
