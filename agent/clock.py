"""What paces the loop: the real clock or lockstep, behind one interface."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

LONGEST_SLEEP_S = 0.02
"""A requested stop is noticed after this long at most."""
_BOOT_CLOCK = getattr(time, "CLOCK_BOOTTIME", None)


class Clock(Protocol):
    """Time as the loop sees it."""

    def now(self) -> float:
        """Return monotonic seconds."""
        ...

    def sleep_until(self, deadline: float, stopped: Callable[[], bool]) -> None:
        """Return at the deadline, or earlier if `stopped`."""
        ...


@dataclass(frozen=True)
class RealClock:
    """The monotonic clock; changes of the wall clock or its time zone do not affect it.

    It advances while the machine is suspended, so that a suspend shows as a gap; Linux's usual
    monotonic clock does not.

    Attributes:
        scale: seconds of this clock per second on the wall.
    """

    scale: float = 1.0

    def now(self) -> float:
        """Return scaled monotonic seconds."""
        if sys.platform != "win32" and _BOOT_CLOCK is not None:
            return time.clock_gettime(_BOOT_CLOCK) * self.scale
        return time.monotonic() * self.scale

    def sleep_until(self, deadline: float, stopped: Callable[[], bool]) -> None:
        """Sleep in short pieces, so that a signal takes effect at once."""
        while (left := (deadline - self.now()) / self.scale) > 0 and not stopped():
            time.sleep(min(left, LONGEST_SLEEP_S))


@dataclass
class LockstepClock:
    """Never waits; one tick takes one period by definition."""

    period: float
    ticks: int = 0

    def now(self) -> float:
        """Return the seconds that the ticks so far stand for."""
        return self.ticks * self.period

    def sleep_until(self, deadline: float, stopped: Callable[[], bool]) -> None:
        """Set the time to the deadline and return at once."""
        self.ticks = round(deadline / self.period)


def make_clock(kind: Literal["real", "lockstep"], rate: float, scale: float) -> Clock:
    """Return the clock of a run with `rate` ticks per second."""
    return RealClock(scale) if kind == "real" else LockstepClock(1 / rate)
