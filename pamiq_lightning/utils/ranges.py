"""Numbers of settings, each with the range it lies in. No other number of a setting is infinite.

`Port` is an int for the type checker; `find_range(Port)` is what a value is checked against.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_origin, get_type_hints


@dataclass(frozen=True)
class Range:
    """The numbers from `low` to `high`, both included; `above` leaves out `low` itself."""

    low: float
    high: float
    above: bool = False

    def __contains__(self, value: float) -> bool:
        """Return whether a number lies in it; one that is not a number does not."""
        return (self.low < value if self.above else self.low <= value) and value <= self.high

    def __str__(self) -> str:
        """Say it in words."""
        low = f"above {self.low:g} and up to" if self.above else f"from {_short(self.low)} to"
        return f"{low} {_short(self.high)}"


def _short(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:g}"


Count = Annotated[int, Range(1, 10**12)]
Port = Annotated[int, Range(1, 2**16 - 1)]
FreeOrPort = Annotated[int, Range(0, 2**16 - 1)]
"""0 takes a free port, or none."""
Seed = Annotated[int, Range(0, 2**32 - 1)]
Width = Annotated[int, Range(1, 10**5)]
Start = Annotated[float, Range(0, 10**9)]
Seconds = Annotated[float, Range(0, 10**9, above=True)]
Rate = Annotated[float, Range(0.01, 1000)]
Factor = Annotated[float, Range(0, 1000, above=True)]


def find_range(hint: Any) -> Range | None:
    """Return the range of a type, or of the number that a union takes; None where it has none."""
    if get_origin(hint) is Annotated:
        return next((item for item in hint.__metadata__ if isinstance(item, Range)), None)
    found = map(find_range, get_args(hint))
    return next((item for item in found if item is not None), None)


def check_ranges(function: Callable[..., Any], values: Mapping[str, Any]) -> None:
    """Check the arguments of a function against the ranges of its parameters.

    Raises:
        ValueError: one is out of its range.
    """
    for name, hint in get_type_hints(function, include_extras=True).items():
        allowed, value = find_range(hint), values.get(name)
        for number in value if isinstance(value, list | tuple) else [value]:
            if allowed and number is not None and number not in allowed:
                raise ValueError(f"{name}={value}: must be a number {allowed}")


def option(hint: Any) -> Callable[[str], Any]:
    """Return what argparse takes as the `type` of an option, from one of these types.

    Raises:
        argparse.ArgumentTypeError: of the function returned: the text is no such number.
    """
    kind, allowed = get_args(hint)[0], find_range(hint)
    assert allowed is not None
    noun = "a whole number" if kind is int else "a number"

    def convert(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            value = float("nan")
        if value not in allowed:
            raise argparse.ArgumentTypeError(f"{text!r} must be {noun} {allowed}")
        return value

    return convert
