"""Signals that ask a process to end."""

from __future__ import annotations

import signal
from types import FrameType
from typing import Self

from pamiq_lightning.utils.console import leave_closed_terminal

STOP_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
"""SIGHUP means a closed terminal; SIGBREAK is Windows' Ctrl-Break."""


def stop_signals() -> list[signal.Signals]:
    """Return those that this system has."""
    return [getattr(signal, name) for name in STOP_SIGNALS if hasattr(signal, name)]


class StopSignals:
    """Context in which stop signals are passed to `take`.

    A signal that the caller has set to be ignored stays so: `nohup` does that with SIGHUP, and a
    script with the SIGINT of a program that it starts in the background.
    """

    def __init__(self) -> None:
        self._previous: dict[signal.Signals, object] = {}

    def __enter__(self) -> Self:
        for number in stop_signals():
            if signal.getsignal(number) != signal.SIG_IGN:
                self._previous[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def take_back(self) -> None:
        """Take the signals again from a library that has set handlers of its own."""
        for number in self._previous:
            signal.signal(number, self._on_signal)

    def take(self, number: signal.Signals) -> None:
        """Called with each signal."""
        raise NotImplementedError

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        taken = signal.Signals(number)
        if taken.name == "SIGHUP":
            leave_closed_terminal()
        self.take(taken)
