"""Faults of the picture and the window, injected by one command per line of standard input.

freeze | black | white | fps 2    the picture; `fps 30` is normal again
resize 640 360 | move 50 20       the window
close | open                      remove the window and bring it back
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from agent.worlds.embedded.emulator.window import Window
from pamiq_lightning.utils.console import safe_print

_COLOURS = {"black": 0, "white": 255}


class FaultyDisplay:
    """A window whose picture and presence can be disturbed.

    Args:
        open_window: opens the window; None: there is no window, and nothing is rendered.
        rate: how often `show` is called per second.
    """

    def __init__(self, open_window: Callable[[], Window] | None, rate: int) -> None:
        self._open_window, self._rate = open_window, rate
        self._window = open_window() if open_window is not None else None
        self._picture = "live"
        self._show_every, self._calls = 1, 0

    def show(self, render: Callable[[], NDArray[np.uint8]]) -> None:
        """Show the frame (3, H, W) that `render` returns, as the present fault allows."""
        self._calls += 1
        if self._window is None or self._picture == "freeze" or self._calls % self._show_every:
            return
        frame = render()
        if self._picture in _COLOURS:
            frame = np.full_like(frame, _COLOURS[self._picture])
        self._window.show(frame)

    def handle_events(self) -> bool:
        """Process the window's events; return False once a person has closed it."""
        return self._window is None or self._window.handle_events()

    def apply(self, command: str) -> None:
        """Apply one command.

        Raises:
            ValueError: an unknown command, or wrong numbers.
        """
        word, *numbers = command.split() or [""]
        if word == "fps":
            (rate,) = map(float, numbers)
            self._picture, self._show_every = "live", max(1, round(self._rate / rate))
        elif word in ("freeze", *_COLOURS):
            self._picture = word
        elif word in ("close", "open", "resize", "move"):
            self._change_window(word, [int(number) for number in numbers])
        else:
            raise ValueError(f"unknown command {command!r}")

    def _change_window(self, word: str, numbers: list[int]) -> None:
        if self._window is None:
            if word == "open" and self._open_window is not None:
                self._window = self._open_window()
        elif word == "resize":
            width, height = numbers
            self._window.resize(width, height)
        elif word == "move":
            left, top = numbers
            self._window.move(left, top)
        elif word == "close":
            self.close()

    def close(self) -> None:
        """Close the window."""
        if self._window is not None:
            self._window.close()
            self._window = None


class CommandReader:
    """Reads commands from a stream in a thread and applies them in the caller's thread.

    Args:
        descriptor: of the stream.
    """

    def __init__(self, descriptor: int) -> None:
        # Not sys.stdin, whose lock the thread would hold when the interpreter exits.
        self._stream = open(descriptor, closefd=False)  # noqa: SIM115
        self._lines: deque[str] = deque()
        threading.Thread(target=self._read, name="read-commands", daemon=True).start()

    def _read(self) -> None:
        for line in self._stream:
            self._lines.append(line.strip())

    def apply_pending(self, display: FaultyDisplay) -> None:
        """Apply the commands that have arrived; print "done SECONDS COMMAND" after each."""
        while self._lines:
            command = self._lines.popleft()
            try:
                display.apply(command)
            except ValueError as error:
                safe_print(error)
            else:
                safe_print(f"done {time.monotonic():.6f} {command}")
