"""Computations on the steps of a run that several tools share."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from agent.actions import ACTIONS


def largest_apart(values: NDArray[np.floating], count: int, apart: int) -> list[int]:
    """Return the indices of the `count` largest values, none nearer than `apart` to a larger one.

    Args:
        values: (N,); NaN is left out.
        count: how many at most.
        apart: least distance of two indices.
    """
    chosen: list[int] = []
    for index in np.argsort(-values, kind="stable").tolist():
        if np.isnan(values[index]) or len(chosen) == count:
            break
        if all(abs(index - other) >= apart for other in chosen):
            chosen.append(index)
    return chosen


def action_entropies(actions: NDArray[np.int64]) -> dict[str, tuple[float, float]]:
    """Return the entropy of the choices (N, A) in each category, and its largest value (bits)."""
    entropies = {}
    for category, axis in enumerate(ACTIONS):
        counts = np.bincount(actions[:, category], minlength=len(axis.values))
        share = counts[counts > 0] / counts.sum()
        bits = abs(float(-(share * np.log2(share)).sum()))
        entropies[axis.name] = bits, math.log2(len(axis.values))
    return entropies
