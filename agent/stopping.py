"""How a life is ended from outside: signals become a request, and a second Ctrl-C an order."""

from __future__ import annotations

import signal
from types import FrameType


class SecondInterrupt(BaseException):
    """The user pressed Ctrl-C again: no more waiting."""


class StopRequest:
    """Takes SIGINT and SIGTERM (on Windows also CTRL_BREAK) while a life lasts."""

    def __init__(self) -> None:
        self.reason: str | None = None
        self._previous: dict[int, object] = {}

    def __call__(self) -> bool:
        """Tell whether to stop."""
        return self.reason is not None

    def __enter__(self) -> StopRequest:
        signals = [signal.SIGINT, signal.SIGTERM]
        if hasattr(signal, "SIGBREAK"):
            signals.append(signal.SIGBREAK)
        for number in signals:
            self._previous[number] = signal.signal(number, self._take)
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def request(self, reason: str) -> None:
        """Ask for a clean stop."""
        self.reason = self.reason or reason

    def _take(self, number: int, frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        if number == signal.SIGINT and self.reason == "SIGINT":
            raise SecondInterrupt
        self.request(name)
