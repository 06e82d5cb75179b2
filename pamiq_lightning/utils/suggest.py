"""What to tell somebody who typed a name that does not exist."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def unknown_name(name: str, known: Iterable[str]) -> str:
    """Say that a name is unknown, which one is nearest, and which there are."""
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"no such name{hint} (there are: {', '.join(known)})"
