"""Interquartile means with bootstrap intervals: honest estimates from few seeds.

Source: Agarwal et al. 2021, "Deep Reinforcement Learning at the Edge of the Statistical Precipice"
(arXiv:2108.13264).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

RESAMPLES = 2000


class Estimate(NamedTuple):
    """An interquartile mean, and the interval that holds 95 % of its bootstrap."""

    middle: float
    low: float
    high: float


def interquartile_mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean over the last axis without its lowest and highest quarter, rounded down."""
    count = values.shape[-1]
    cut = count // 4
    kept: NDArray[np.float64] = np.sort(values, axis=-1)[..., cut : count - cut].mean(axis=-1)
    return kept


def estimate(values: ArrayLike, seed: int = 0) -> Estimate:
    """Return interquartile mean and interval; NaN without values, no interval with only one."""
    known = np.asarray(values, np.float64)
    known = known[~np.isnan(known)]
    if not len(known):
        return Estimate(np.nan, np.nan, np.nan)
    middle = float(interquartile_mean(known))
    if len(known) == 1 or not np.isfinite(known).all():
        return Estimate(middle, np.nan, np.nan)
    draws = np.random.default_rng(seed).integers(0, len(known), (RESAMPLES, len(known)))
    low, high = np.percentile(interquartile_mean(known[draws]), [2.5, 97.5])
    return Estimate(middle, float(low), float(high))
