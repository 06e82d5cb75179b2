"""Printing that cannot fail, for processes that must not end when their output is refused."""

from __future__ import annotations

import os
import sys
from contextlib import suppress


def safe_print(text: str) -> None:
    """Print a line; it is lost if the disk is full or the terminal is gone."""
    with suppress(OSError, ValueError):
        # Unbuffered: Python's buffer would keep a refused line and fail again at exit.
        os.write(sys.stdout.fileno(), f"{text}\n".encode())
