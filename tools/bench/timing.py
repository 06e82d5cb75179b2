"""Timing by turns, so that what else the machine does falls on everything that is compared."""

from __future__ import annotations

import time
from collections.abc import Callable

TRIES = 7


def compare(*jobs: Callable[[], object], tries: int = TRIES) -> list[float]:
    """Return the least processor seconds of each job; they take turns, after a round to warm up."""
    for job in jobs:
        job()
    times: list[list[float]] = [[] for _ in jobs]
    for _ in range(tries):
        for taken, job in zip(times, jobs, strict=True):
            began = time.process_time()
            job()
            taken.append(time.process_time() - began)
    return [min(taken) for taken in times]
