"""Times jobs in turn, so that other programs slow all of them alike."""

from __future__ import annotations

import time
from collections.abc import Callable

TRIES = 7


def compare(*jobs: Callable[[], object], tries: int = TRIES) -> list[float]:
    """Return the least processor time of each job (s); they run in turn, after a warm-up round."""
    for job in jobs:
        job()
    times: list[list[float]] = [[] for _ in jobs]
    for _ in range(tries):
        for taken, job in zip(times, jobs, strict=True):
            began = time.process_time()
            job()
            taken.append(time.process_time() - began)
    return [min(taken) for taken in times]
