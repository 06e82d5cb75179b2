"""Just-in-time compilation with numba: cached on disk, without the GIL, bit-reproducible."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar, cast

from numba import njit
from numba.core.caching import FunctionCache

from pamiq_lightning.utils.console import print_error

Function = TypeVar("Function", bound=Callable[..., Any])


def jit(function: Function) -> Function:
    """Compile a function on its first call per argument types.

    Without fast-math, which gives other bits on other machines.
    """
    return _compile(function)


def jit_inline(function: Function) -> Function:
    """Compile a function and inline it into its callers."""
    return _compile(function, inline="always")


class _Cache(FunctionCache):  # type: ignore[misc]
    """numba's cache, except that a disk that refuses does not fail the call that compiles."""

    def save_overload(self, sig: Any, data: Any) -> None:
        try:
            super().save_overload(sig, data)
        except OSError as error:
            _say_uncached(error.strerror or str(error))


def _compile(function: Function, **options: str) -> Function:
    compiled = njit(nogil=True, error_model="numpy", **options)(function)
    try:
        compiled._cache = _Cache(function)
    except RuntimeError:
        # numba's `cache=True` raises it too, even where what it compiled before could be read.
        _say_uncached("no folder can be written to")
    return cast(Function, compiled)


@cache
def _say_uncached(why: str) -> None:
    print_error(
        f"Compiled code cannot be stored ({why}): every start compiles again, which takes a "
        "minute. Set NUMBA_CACHE_DIR to a folder that can be written to."
    )
