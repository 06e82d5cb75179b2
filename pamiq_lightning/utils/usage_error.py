"""The error of a wrong setting, and the hint for a name that does not exist."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UsageError(ValueError):
    """A setting is wrong; the message names the key, the value and what is allowed."""


def unknown_name(name: str, known: Iterable[str]) -> str:
    """Return that a name is unknown, which known name is nearest, and all known names."""
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"no such name{hint} (there are: {', '.join(known)})"
