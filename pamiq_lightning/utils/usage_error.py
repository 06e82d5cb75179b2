"""The error of a wrong setting, and the hint for a name that does not exist."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


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
