"""Values as plain Python types, which YAML, sockets and safe unpicklers know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from typing import Any


def to_plain(value: Any) -> Any:
    """Return dictionaries, lists, numbers and strings for dataclasses and for subclasses of these.

    jsonargparse's restricted numbers, such as PositiveInt, are subclasses.
    """
    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    if isinstance(value, Mapping):
        return {key: to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(item) for item in value]
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value)
    return value
