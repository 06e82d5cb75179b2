"""Times jobs in turn, so that other programs slow all of them alike."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

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


class Stopwatch:
    """Adds up the seconds that calls take, by part."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock, self.seconds = clock, defaultdict[str, float](float)

    def around(self, part: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """Return a call that is timed."""

        def timed(*arguments: Any, **named: Any) -> Any:
            began = self._clock()
            try:
                return call(*arguments, **named)
            finally:
                self.seconds[part] += self._clock() - began

        return timed
