"""Which rows of a recording are held out of training, to evaluate on.

Whole minutes spread over the recording, because its end alone would lie in places not visited
before. Their edges are dropped, because the training rows have nearly the same frames.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

MINUTE_S = 60.0
EVERY = 10
"""Every tenth minute is held out."""
EDGE_S = 5.0
"""Seconds at either edge of a held-out minute that are neither trained nor evaluated on."""


class Split(NamedTuple):
    """The use of each row of a recording."""

    minute: Int[np.ndarray, " N"]
    """Minutes since the recording began."""
    trained: Bool[np.ndarray, " N"]
    evaluated: Bool[np.ndarray, " N"]


def split(seconds: Float[np.ndarray, " N"]) -> Split:
    """Split rows by their time, in seconds since the recording began."""
    minute = np.floor(seconds / MINUTE_S).astype(np.int64)
    held_out = minute % EVERY == EVERY - 1
    into = seconds - minute * MINUTE_S
    inner = (into >= EDGE_S) & (into < MINUTE_S - EDGE_S)
    return Split(minute, ~held_out, held_out & inner)
