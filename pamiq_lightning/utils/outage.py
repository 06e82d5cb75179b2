"""Messages about something that fails again and again: few enough to be read."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

REPEAT_EVERY_S = 60.0


class Outage:
    """Reports a failure at most once a minute, and after each report the end of the failures.

    Args:
        notify: takes the messages.
        over: the message for the end.
    """

    def __init__(self, notify: Callable[[str], object], over: str) -> None:
        self._notify, self._over = notify, over
        self._reported_at, self._lasts = -math.inf, False

    def failed(self, message: str) -> None:
        """Report a failure, unless the last report is too recent."""
        now = time.monotonic()
        if now - self._reported_at >= REPEAT_EVERY_S:
            self._reported_at, self._lasts = now, True
            self._notify(message)

    def succeeded(self) -> None:
        """Report that what failed before works again."""
        if self._lasts:
            self._lasts = False
            self._notify(self._over)
