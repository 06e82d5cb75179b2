"""Signals end a run: the first requests a clean stop, a second Ctrl-C quits at once."""

from __future__ import annotations

import signal

from pamiq_lightning.utils.stop_signals import StopSignals


class ForceQuit(BaseException):
    """The user pressed Ctrl-C a second time: quit without waiting."""


class StopRequest(StopSignals):
    """Context in which stop signals become a request to stop.

    Attributes:
        reason: what requested the stop; None until then.
    """

    def __init__(self) -> None:
        super().__init__()
        self.reason: str | None = None

    def __call__(self) -> bool:
        """Return whether to stop."""
        return self.reason is not None

    def request(self, reason: str) -> None:
        """Request a clean stop."""
        self.reason = self.reason or reason

    def take(self, number: signal.Signals) -> None:
        """Request a clean stop; quit at a Ctrl-C after that."""
        if number == signal.SIGINT and self.reason is not None:
            raise ForceQuit
        self.request(number.name)
