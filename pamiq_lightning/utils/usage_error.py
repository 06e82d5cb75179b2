"""The error of a wrong setting, the hint for an unknown name, and any error as one line."""

from __future__ import annotations

import difflib
import sys
import sysconfig
import traceback
from collections.abc import Iterable

_LONGEST = 400


class UsageError(ValueError):
    """A setting is wrong; the message names the key, the value and what is allowed."""


def check_names(prefix: str, names: Iterable[object], known: Iterable[str]) -> None:
    """Check that all names are known.

    Raises:
        UsageError: one is not; the message has the prefix, the name, the nearest known name, and
            all known names.
    """
    known = sorted(known)
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise UsageError(f"{prefix}{name}: no such name{hint} (there are: {', '.join(known)})")


def check_interpreter() -> None:
    """Check that Python keeps docstrings: torchrl cannot be imported without.

    Raises:
        UsageError: it is `python -OO`, or PYTHONOPTIMIZE=2.
    """
    if sys.flags.optimize > 1:
        raise UsageError("python -OO takes the docstrings away that torchrl needs; use python -O")


def describe_error(error: BaseException, outer: int = 0) -> str:
    """Return an error as one line: its type and text, and the file and line that raised it.

    The line is the innermost one outside the standard library and installed packages, if any.

    Args:
        error: that was caught.
        outer: outermost frames of its traceback that are no place of the fault.
    """
    text = " ".join(str(error).split())
    if isinstance(error, UsageError):
        return text
    frames = traceback.extract_tb(error.__traceback__)[outer:]
    places = [f"{frame.filename}:{frame.lineno}" for frame in frames if frame.filename[0] != "<"]
    installed = tuple(sysconfig.get_paths()[name] for name in ("stdlib", "purelib", "platlib"))
    own = [place for place in places if not place.startswith(installed)]
    if isinstance(error, SystemExit):
        text = f"it calls sys.exit({error.code!r})"
    elif isinstance(error, SyntaxError):
        text, own = f"{type(error).__name__}: {error.msg}", [f"{error.filename}:{error.lineno}"]
    else:
        text = f"{type(error).__name__}: {text}" if text else type(error).__name__
    shortened = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
    place = (own or places or [""])[-1]
    return f"{shortened} ({place})" if place else shortened
