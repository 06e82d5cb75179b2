"""Signals end a run: the first requests a clean stop, a second Ctrl-C quits at once."""

from __future__ import annotations

import signal
from types import FrameType

from pamiq_lightning.utils.console import leave_closed_terminal

SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
"""SIGHUP means a closed terminal; SIGBREAK is Windows' Ctrl-Break."""


class ForceQuit(BaseException):
    """The user pressed Ctrl-C a second time: quit without waiting."""


class StopRequest:
    """Context in which stop signals become a request to stop.

    A signal that the caller has set to be ignored stays so: `nohup` does that with SIGHUP, and a
    script with the SIGINT of a program that it starts in the background.

    Attributes:
        reason: what requested the stop; None until then.
    """

    def __init__(self) -> None:
        self.reason: str | None = None
        self._previous: dict[int, object] = {}

    def __call__(self) -> bool:
        """Return whether to stop."""
        return self.reason is not None

    def __enter__(self) -> StopRequest:
        for name in SIGNALS:
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) != signal.SIG_IGN:
                self._previous[number] = signal.signal(number, self._take)
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def request(self, reason: str) -> None:
        """Request a clean stop."""
        self.reason = self.reason or reason

    def _take(self, number: int, frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        if name == "SIGHUP":
            leave_closed_terminal()
        if number == signal.SIGINT and self.reason is not None:
            raise ForceQuit
        self.request(name)
