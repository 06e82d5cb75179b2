"""The command line that all tools share."""

from __future__ import annotations

import argparse
import signal
import sys
from types import TracebackType

from pamiq_lightning.utils.console import open_missing_streams, print_error, print_failure


def let_children_heed_signals() -> None:
    """Have processes started from now on heed SIGINT and SIGHUP, even where this one ignores them.

    They inherit what is ignored (by `nohup`, or in a script's background), but not a handler.
    """
    for name in ("SIGINT", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, lambda number, frame: None)


def _print_failure(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    if issubclass(kind, KeyboardInterrupt):
        print_error("Stopped.")
    elif isinstance(error, OSError):
        # A disk that is full or read-only, or a file that is not there.
        print_failure(error)
    else:
        sys.__excepthook__(kind, error, trace)


def make_parser(doc: str | None) -> argparse.ArgumentParser:
    """Return a parser whose help is a module's docstring, its lines kept as they are.

    Every tool begins with this, so it also opens the standard streams that are missing, and has
    Ctrl-C and an error of the system end the tool with one line.
    """
    open_missing_streams()
    sys.excepthook = _print_failure
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    prog = f"python -m {spec.name.removesuffix('.__main__')}" if spec else None
    return argparse.ArgumentParser(
        prog=prog, description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
