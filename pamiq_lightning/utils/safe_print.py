"""A line to the standard output, of a process that must not end because nobody can take it."""

from __future__ import annotations

import os
import sys
from contextlib import suppress


def safe_print(text: str) -> None:
    """Print a line; a full disk, or a terminal that is gone, costs the line alone."""
    with suppress(OSError, ValueError):
        # Past Python's buffer, which would keep what it could not write and fail again at the end.
        os.write(sys.stdout.fileno(), f"{text}\n".encode())
