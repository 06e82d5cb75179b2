"""VRChat's OSC inputs, and the movement they command.

Source: https://docs.vrchat.com/docs/osc-as-input-controller. An axis keeps its last value. A button
is edge-triggered: it acts when it goes from 0 to 1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

AXES = ("/input/Vertical", "/input/Horizontal", "/input/LookHorizontal")
BUTTONS = (
    "/input/Jump",
    "/input/Run",
    "/input/MoveForward",
    "/input/MoveBackward",
    "/input/MoveLeft",
    "/input/MoveRight",
    "/input/LookLeft",
    "/input/LookRight",
)
LOOK_DEAD_ZONE = 0.5
"""LookHorizontal turns only beyond this deflection."""


@dataclass(frozen=True)
class MoveCommand:
    """Movement commanded for the next physics step."""

    forward: float
    """-1 to 1."""
    right: float
    """-1 to 1."""
    turn: float
    """-1 to 1, positive to the right."""
    run: bool
    jump: bool
    """Whether Jump was pressed since the last step."""


def to_number(value: object) -> float:
    """Read an OSC argument: int, float, or OSC's True and False.

    Raises:
        ValueError: another type, or not a number.
    """
    if not isinstance(value, (bool, int, float)):
        raise ValueError(f"an input takes a number, got {value!r}")
    try:
        number = float(value)
    except OverflowError:
        raise ValueError("an input takes a number of ordinary size") from None
    if math.isnan(number):
        raise ValueError("an input takes a number, got nan")
    return number


class InputController:
    """The latched state of all inputs, as VRChat keeps it."""

    def __init__(self) -> None:
        self._values = dict.fromkeys((*AXES, *BUTTONS), 0.0)
        self._jump = False

    def set(self, address: str, value: object) -> None:
        """Set one input; values are clamped to -1 to 1.

        Raises:
            ValueError: an unknown address, or a value that is not a number.
        """
        if address not in self._values:
            raise ValueError(f"unknown input {address}; known: {', '.join(self._values)}")
        number = min(1.0, max(-1.0, to_number(value)))
        if address in BUTTONS:
            number = float(number != 0.0)
        if address == "/input/Jump" and number > self._values[address]:
            # Kept until the next step, so a press and release between two steps count.
            self._jump = True
        self._values[address] = number

    def release_inputs(self) -> None:
        """Set every input to neutral."""
        self._values = dict.fromkeys(self._values, 0.0)
        self._jump = False

    def state_dict(self) -> dict[str, float]:
        """Return all inputs, and under "jump" whether a press is pending."""
        return {**self._values, "jump": float(self._jump)}

    def load_state_dict(self, state: Mapping[str, float]) -> None:
        """Set all inputs from a state."""
        self._values = {address: state[address] for address in self._values}
        self._jump = bool(state["jump"])

    def next_command(self) -> MoveCommand:
        """Return the command of the next step, which consumes a pending press of Jump."""
        jump, self._jump = self._jump, False
        look = self._values["/input/LookHorizontal"]
        if abs(look) <= LOOK_DEAD_ZONE:
            look = 0.0
        return MoveCommand(
            forward=self._sum(self._values["/input/Vertical"], "MoveForward", "MoveBackward"),
            right=self._sum(self._values["/input/Horizontal"], "MoveRight", "MoveLeft"),
            turn=self._sum(look, "LookRight", "LookLeft"),
            run=bool(self._values["/input/Run"]),
            jump=jump,
        )

    def _sum(self, axis: float, more: str, less: str) -> float:
        """Return an axis plus the two buttons that add to it, clamped."""
        total = axis + self._values[f"/input/{more}"] - self._values[f"/input/{less}"]
        return min(1.0, max(-1.0, total))
