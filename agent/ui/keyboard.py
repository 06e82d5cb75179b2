"""Single keys on the terminal that a run was started from: pause, resume, save, stop."""

from __future__ import annotations

import atexit
import math
import os
import select
import sys
import threading
import time
from collections.abc import Callable

from agent.ui.commands import CommandFailed, Commands

KEYS = {"p": "pause", "r": "resume", "s": "save", "q": "stop"}
HINT = "keys: p pause   r resume   s save   qq stop"
HINT_WITHOUT_KEYS = "Ctrl-C stops"
CONFIRM_S = 3.0
"""Longest time between the two presses of the key that ends the run."""
FOREGROUND_POLL_S = 1.0
"""Longest time until keys work again after `fg`."""
POLL_S = 0.1
"""Longest wait for a key where the system has no event for it."""


def can_read_keys() -> bool:
    """Return whether a person can press keys: on a terminal, with us in its foreground."""
    if sys.stdin is None or not sys.stdin.isatty():
        return False
    # The system stops a background program that touches its terminal.
    return os.name == "nt" or _in_foreground(sys.stdin.fileno())


class KeyCommands:
    """Does the commands of keys, each in a thread of its own, since a save takes a while.

    The key that ends the run has to be pressed twice: pasted text must not end it.

    Args:
        commands: of the run.
        now: monotonic seconds.
    """

    def __init__(self, commands: Commands, now: Callable[[], float] = time.monotonic) -> None:
        self._commands, self._now = commands, now
        self._confirm_until = -math.inf

    def __call__(self, key: str) -> threading.Thread | None:
        """Take one key; return the thread of its command, None where nothing is done."""
        verb, confirmed = KEYS.get(key.lower()), self._now() < self._confirm_until
        self._confirm_until = -math.inf
        if verb is None:
            return None
        if verb == "stop" and not confirmed:
            self._confirm_until = self._now() + CONFIRM_S
            self._commands.notify(f"press {key} again within {CONFIRM_S:.0f} s to stop")
            return None
        thread = threading.Thread(target=self._do, args=(verb, key.lower()), daemon=True)
        thread.start()
        return thread

    def _do(self, verb: str, key: str) -> None:
        try:
            self._commands.do(verb, f"key {key}")
        except CommandFailed as error:
            self._commands.notify(f"{verb}: {error}")


class Keys:
    """Context in which single keys are read; its exit restores the terminal.

    Args:
        on_key: called with each key.
    """

    _terminal: int
    _woken: int
    _wake: int

    def __init__(self, on_key: Callable[[str], object]) -> None:
        self._on_key = on_key
        self._end = threading.Event()

    def __enter__(self) -> None:
        read = self._read_windows if os.name == "nt" else self._prepare_posix()
        self._thread = threading.Thread(target=read, name="keys", daemon=True)
        self._thread.start()

    def __exit__(self, *exception: object) -> None:
        self._end.set()
        if sys.platform != "win32":
            os.write(self._wake, b".")
        self._thread.join()
        if sys.platform != "win32":
            self._restore()
            atexit.unregister(self._restore)
            os.close(self._woken)
            os.close(self._wake)

    def _prepare_posix(self) -> Callable[[], None]:
        """Have the terminal give every key at once, without echo."""
        if sys.platform == "win32":
            raise RuntimeError("this reads keys of POSIX terminals")
        import termios

        self._terminal = sys.stdin.fileno()
        self._before = termios.tcgetattr(self._terminal)
        self._woken, self._wake = os.pipe()
        # In case the interpreter ends within this context.
        atexit.register(self._restore)
        self._set_cbreak()
        return self._read_posix

    def _set_cbreak(self) -> bool:
        """Have the terminal give keys to us; return whether we are in its foreground."""
        if sys.platform == "win32":
            raise RuntimeError("this reads keys of POSIX terminals")
        import termios
        import tty

        if not _in_foreground(self._terminal):
            return False
        try:
            tty.setcbreak(self._terminal, termios.TCSANOW)
        except termios.error:
            return False  # The terminal was closed.
        return True

    def _read_posix(self) -> None:
        while not self._end.is_set():
            # In the background the keys go to the shell, which has set its own modes when it gives
            # the terminal back.
            terminal = [self._terminal] if self._set_cbreak() else []
            ready, _, _ = select.select([self._woken, *terminal], [], [], FOREGROUND_POLL_S)
            if self._terminal in ready and _in_foreground(self._terminal):
                try:
                    key = os.read(self._terminal, 1)
                except OSError:
                    return  # The terminal was closed.
                if not key:
                    return
                self._on_key(key.decode("ascii", "replace"))

    def _restore(self) -> None:
        if sys.platform == "win32":
            raise RuntimeError("this reads keys of POSIX terminals")
        import termios

        # In the background this would stop us, and the shell sets its own modes.
        if _in_foreground(self._terminal):
            termios.tcsetattr(self._terminal, termios.TCSADRAIN, self._before)

    def _read_windows(self) -> None:
        if sys.platform == "win32":
            import msvcrt

            while not self._end.wait(POLL_S):
                while msvcrt.kbhit():
                    self._on_key(msvcrt.getwch())


def _in_foreground(terminal: int) -> bool:
    """Return whether the terminal is there and its keys go to us."""
    if sys.platform == "win32":
        return True
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
