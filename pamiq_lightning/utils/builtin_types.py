"""Values as plain Python types, which YAML, sockets and safe unpicklers know."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def to_plain(value: Any) -> Any:
    """Return dictionaries, lists, numbers and strings for what may be subclasses of them.

    jsonargparse's restricted numbers, such as PositiveInt, are subclasses.
    """
    if isinstance(value, Mapping):
        return {key: to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(item) for item in value]
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value)
    return value
