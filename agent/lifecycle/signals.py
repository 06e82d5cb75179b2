"""How a life is ended from outside: signals become a request, and a second Ctrl-C an order."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from types import FrameType

SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
"""SIGHUP is the terminal closing; SIGBREAK is Windows' Ctrl-Break."""


class ForceQuit(BaseException):
    """The user pressed Ctrl-C again: no more waiting."""


class StopRequest:
    """Takes the signals that mean stop, while a life lasts."""

    def __init__(self) -> None:
        self.reason: str | None = None
        self._previous: dict[int, object] = {}

    def __call__(self) -> bool:
        """Tell whether to stop."""
        return self.reason is not None

    def __enter__(self) -> StopRequest:
        for name in SIGNALS:
            number = getattr(signal, name, None)
            if number is not None:
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
        if name == "SIGHUP":
            # Nobody reads any more, and a write to a terminal that is gone fails.
            sys.stdout = sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115
        if number == signal.SIGINT and self.reason is not None:
            raise ForceQuit
        self.request(name)
