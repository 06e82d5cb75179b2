"""The one place through which every message to a person goes. Standard library only.

Printing never ends a process: a line is lost where the disk is full or the reader is gone, and a
character that the terminal's encoding lacks is shown as an escape.
"""

from __future__ import annotations

import io
import os
import stat
import sys
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from pathlib import Path

# Without `typing`, which the watchdog process would import for nothing.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType
    from typing import TextIO


def safe_print(text: object) -> None:
    """Print a line to the standard output."""
    _write(sys.stdout, f"{text}\n")


def print_error(text: object) -> None:
    """Print a line to the standard error."""
    _write(sys.stderr, f"{text}\n")


def print_failure(error: object, code: int = 1) -> int:
    """Print the one line with which a program ends, and return its exit code."""
    text = os_error_text(error) if isinstance(error, OSError) else str(error)
    print_error(f"error: {' '.join(line.strip() for line in text.splitlines())}")
    return code


def os_error_text(error: OSError) -> str:
    """Return the file and the reason of a system's error, without its number."""
    reason = error.strerror or str(error)
    return f"{error.filename}: {reason}" if error.filename else reason


def end_on_interrupt() -> None:
    """Have Ctrl-C end this process with one line from now on, where nothing else handles it.

    Packages that begin programs call it first: what a program imports takes up to seconds.
    """
    earlier = sys.excepthook

    def show(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            print_error("Stopped.")
        else:
            earlier(kind, error, trace)

    sys.excepthook = show


def safe_stream() -> TextIO:
    """Return the standard output for libraries that print, as Rich; writing to it never raises."""
    return _SafeStream(lambda: sys.stdout)  # type: ignore[return-value]


@contextmanager
def safe_streams() -> Iterator[None]:
    """Have whatever prints here, libraries too, print so that it never raises."""
    out, error = sys.stdout, sys.stderr
    with redirect_stdout(_SafeStream(lambda: out)), redirect_stderr(_SafeStream(lambda: error)):
        yield


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


def leave_closed_terminal() -> None:
    """Connect the null device where a terminal was that is closed now.

    A file, a pipe and a terminal that is still there stay.
    """
    for descriptor in (1, 2):
        with suppress(OSError):
            if stat.S_ISCHR(os.fstat(descriptor).st_mode) and not os.isatty(descriptor):
                null = os.open(os.devnull, os.O_WRONLY)
                os.dup2(null, descriptor)
                os.close(null)


class _SafeStream(io.TextIOBase):
    def __init__(self, find: Callable[[], TextIO | None]) -> None:
        self._find = find

    @property
    def _stream(self) -> TextIO | None:
        stream = self._find()
        # What Rich puts there while it shows a live block would print back to Rich.
        found: TextIO | None = getattr(stream, "rich_proxied_file", stream)
        return found

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """That of the stream."""
        return (self._stream and self._stream.encoding) or "utf-8"

    def isatty(self) -> bool:
        """Return whether it is a terminal."""
        return self._stream is not None and not self._stream.closed and self._stream.isatty()

    def fileno(self) -> int:
        """Return its descriptor, by which Rich finds an old Windows console."""
        return super().fileno() if self._stream is None else self._stream.fileno()

    def write(self, text: str) -> int:
        """Write all of the text, or lose it."""
        _write(self._stream, text)
        return len(text)


def _write(stream: TextIO | None, text: str) -> None:
    if stream is None:
        return
    with suppress(OSError, ValueError):
        encoding = stream.encoding or "utf-8"
        content = text.encode(encoding, "backslashreplace")
        if not _has_descriptor(stream) or (sys.platform == "win32" and stream.isatty()):
            # A Windows terminal shows only what is written through its stream.
            stream.write(content.decode(encoding))
            stream.flush()
            return
        stream.flush()
        # Unbuffered: Python's buffer would keep a refused line and fail again at exit.
        while content:
            content = content[os.write(stream.fileno(), content) :]


def _has_descriptor(stream: TextIO) -> bool:
    # Other classes put what is written in its place themselves, as Rich does above a live block.
    try:
        return isinstance(stream, io.TextIOWrapper) and stream.fileno() >= 0
    except (OSError, ValueError):
        return False
