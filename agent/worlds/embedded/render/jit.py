"""Just-in-time compilation with numba: cached on disk, without the GIL, bit-reproducible."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit

Function = TypeVar("Function", bound=Callable[..., Any])
_OPTIONS = {"cache": True, "nogil": True, "error_model": "numpy"}


def jit(function: Function) -> Function:
    """Compile a function on its first call per argument types.

    Without fast-math, which gives other bits on other machines.
    """
    return cast(Function, njit(**_OPTIONS)(function))


def jit_inline(function: Function) -> Function:
    """Compile a function and inline it into its callers."""
    return cast(Function, njit(inline="always", **_OPTIONS)(function))
