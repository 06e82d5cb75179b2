"""How functions are compiled here: kept on disk, free of the interpreter's lock, repeatable."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit

Function = TypeVar("Function", bound=Callable[..., Any])
_OPTIONS = {"cache": True, "nogil": True, "error_model": "numpy"}


def compiled(function: Function) -> Function:
    """Compile a function on its first call with arguments of these types.

    No fast-math, which would let the same input give other bits on another machine.
    """
    return cast(Function, njit(**_OPTIONS)(function))


def inlined(function: Function) -> Function:
    """Do the same for a function that is worth unfolding into its callers."""
    return cast(Function, njit(inline="always", **_OPTIONS)(function))
