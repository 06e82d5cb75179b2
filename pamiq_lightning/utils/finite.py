"""Finds numbers that are not finite in saved state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor


def check_finite(values: Any, name: str) -> None:
    """Check that all tensors in nested plain values are finite.

    Args:
        values: tensors in dictionaries, lists and tuples; everything else is ignored.
        name: of the values, for the message.

    Raises:
        ValueError: one is not; the message has its name, and how many of its numbers are not.
    """
    if isinstance(values, Tensor):
        if values.is_floating_point() and (bad := int((~values.isfinite()).sum())):
            raise ValueError(f"{name} has {bad} of {values.numel()} numbers that are not finite")
    elif isinstance(values, Mapping):
        for key, value in values.items():
            check_finite(value, f"{name}.{key}" if name else str(key))
    elif isinstance(values, list | tuple):
        for number, value in enumerate(values):
            check_finite(value, f"{name}.{number}")
