"""The one place through which every message to a person goes.

Printing never ends a process: a line is lost where the disk is full or the reader is gone, and a
character that the terminal's encoding lacks is shown as an escape.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TextIO


def safe_print(text: str) -> None:
    """Print a line to the standard output."""
    _write(sys.stdout, text)


def print_error(text: str) -> None:
    """Print a line to the standard error."""
    _write(sys.stderr, text)


def open_missing_streams() -> None:
    """Open the null device for every standard stream that the caller has closed.

    Otherwise the next file or socket would take the number of the stream, and what is printed
    would be written into it.
    """
    null = os.open(os.devnull, os.O_RDWR)
    while null <= 2:
        os.set_inheritable(null, True)
        null = os.dup(null)
    os.close(null)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode))  # noqa: SIM115


def _write(stream: TextIO | None, text: str) -> None:
    if stream is None:
        return
    with suppress(OSError, ValueError):
        encoding = stream.encoding or "utf-8"
        line = f"{text}\n".encode(encoding, "backslashreplace")
        if not _has_descriptor(stream) or (sys.platform == "win32" and stream.isatty()):
            # A Windows terminal shows only what is written through its stream.
            stream.write(line.decode(encoding))
            stream.flush()
            return
        stream.flush()
        # Unbuffered: Python's buffer would keep a refused line and fail again at exit.
        while line:
            line = line[os.write(stream.fileno(), line) :]


def _has_descriptor(stream: TextIO) -> bool:
    try:
        return stream.fileno() >= 0
    except (OSError, ValueError):
        return False
