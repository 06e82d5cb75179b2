"""Why the agent is paused: separate reasons, so that none ends another's pause."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

PERSON = "person"
"""The reason of whoever pressed pause, in any way."""
POLL_S = 0.02
"""Longest wait until the end of a pause, or a stop, is noticed."""


class Pauses:
    """The reasons to pause, and whether the loop is paused.

    Any thread may add or remove a reason. The loop alone confirms, between two ticks and after it
    set all inputs to neutral.

    Args:
        sleep: waits for so many seconds.

    Attributes:
        reasons: the present ones, in order of arrival. Replaced, never changed in place: any thread
            may read it.
        paused: whether the loop is paused, its inputs neutral.
        count: number of pauses so far.
    """

    def __init__(self, sleep: Callable[[float], None] = time.sleep) -> None:
        self.reasons: tuple[str, ...] = ()
        self.paused = False
        self.count = 0
        self._sleep = sleep
        self._lock = threading.Lock()

    @property
    def requested(self) -> bool:
        """Whether there is any reason."""
        return bool(self.reasons)

    def add(self, reason: str) -> None:
        """Add a reason, once."""
        with self._lock:
            if reason not in self.reasons:
                self.reasons = (*self.reasons, reason)

    def remove(self, reason: str) -> None:
        """Remove a reason, if it is there; the others stay."""
        with self._lock:
            self.reasons = tuple(r for r in self.reasons if r != reason)

    def confirm(self, paused: bool) -> None:
        """Loop: set whether it is paused."""
        self.count += paused and not self.paused
        self.paused = paused

    def wait(self) -> None:
        """Loop: wait a little."""
        self._sleep(POLL_S)
