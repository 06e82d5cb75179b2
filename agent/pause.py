"""Why the agent stands still: reasons that are counted apart, so that none ends another's pause."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

PERSON = "person"
"""The reason that stands for whoever pressed pause, in whatever way."""
LOOK_S = 0.02
"""Longest wait until the end of a pause, or a stop, is noticed."""


class Pauses:
    """Reasons to stand still, and whether the loop does.

    Any thread may add or remove a reason; the loop alone confirms, between two ticks and after all
    inputs went to neutral.

    Args:
        sleep: waits for so many seconds.

    Attributes:
        reasons: those that stand, in order of arrival. Never changed in place: any thread may look.
        standing: whether the loop stands still, its inputs neutral.
        count: how often it has stood still.
    """

    def __init__(self, sleep: Callable[[float], None] = time.sleep) -> None:
        self.reasons: tuple[str, ...] = ()
        self.standing = False
        self.count = 0
        self._sleep = sleep
        self._changing = threading.Lock()

    @property
    def wanted(self) -> bool:
        """Whether any reason stands."""
        return bool(self.reasons)

    def add(self, reason: str) -> None:
        """Let a reason stand; one that stands already is still one."""
        with self._changing:
            if reason not in self.reasons:
                self.reasons = (*self.reasons, reason)

    def remove(self, reason: str) -> None:
        """Take a reason away, if it stands; the others go on standing."""
        with self._changing:
            self.reasons = tuple(r for r in self.reasons if r != reason)

    def confirm(self, standing: bool) -> None:
        """Loop: say whether it stands still."""
        self.count += standing and not self.standing
        self.standing = standing

    def wait(self) -> None:
        """Loop: let a short while pass."""
        self._sleep(LOOK_S)
