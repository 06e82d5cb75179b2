"""What paces the loop: the wall's clock, or lockstep, behind one interface (tests add a third)."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

LONGEST_SLEEP_S = 0.02
"""A stop that is asked for is seen after this long at most."""
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
    """The monotonic clock; setting the wall's clock or its zone does not touch it.

    It goes on while the machine is suspended, so that a suspend is seen as a gap; Linux's usual
    monotonic clock stands still meanwhile.

    Attributes:
        scale: seconds of the agent's life to a second on the wall.
    """

    scale: float = 1.0

    def now(self) -> float:
        """Return monotonic seconds of the agent's life."""
        now = time.monotonic() if _BOOT_CLOCK is None else time.clock_gettime(_BOOT_CLOCK)
        return now * self.scale

    def sleep_until(self, deadline: float, stopped: Callable[[], bool]) -> None:
        """Sleep in short pieces, so that a signal is acted upon at once."""
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
        """Go on at once; the time is now the deadline's."""
        self.ticks = round(deadline / self.period)


def make_clock(kind: Literal["real", "lockstep"], rate: float, scale: float) -> Clock:
    """Return the clock of a life of `rate` ticks a second."""
    return RealClock(scale) if kind == "real" else LockstepClock(1 / rate)
