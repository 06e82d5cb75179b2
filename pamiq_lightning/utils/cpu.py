"""The CPU cores a process runs on, where the system lets it choose."""

from __future__ import annotations

import os
import sys


def can_pin() -> bool:
    """Return whether this system lets a process choose its cores."""
    return sys.platform == "linux"


def usable_cores() -> int:
    """Return how many cores this process may use."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def stay_on(core: int) -> None:
    """Bind the calling process to one core.

    Raises:
        OSError: the process may not use this core.
    """
    _use_cores({core})


def keep_off(core: int) -> None:
    """Let the calling process use every core but one."""
    others = set(range(os.cpu_count() or 1)) - {core}
    if others:
        _use_cores(others)


def _use_cores(cores: set[int]) -> None:
    if sys.platform != "linux":
        raise OSError(f"{sys.platform} does not let a process choose its cores")
    os.sched_setaffinity(0, cores)
