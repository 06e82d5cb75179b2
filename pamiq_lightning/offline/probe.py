"""What a straight line can read out of latents: place and heading, by ridge regression.

A probe is fitted on training minutes alone, the strength of its ridge chosen there too, and judged
on minutes that were held out.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

STRENGTHS = tuple(10.0**exponent for exponent in range(-6, 3))
"""Ridge strengths tried, in units of the features' mean variance."""
FOLDS = 5


def place_targets(info: Float[Tensor, "n K"], names: Sequence[str]) -> Float[Tensor, "n 4"]:
    """Return what a probe is asked for: x, y (metres), sin and cos of the heading.

    Raises:
        ValueError: the ground truth lacks one of them, or has no number for it.
    """
    missing = {"x", "y", "heading"} - set(names)
    if missing:
        raise ValueError(f"the recording's info lacks {sorted(missing)}: nothing to probe for")
    x, y, heading = (info[:, names.index(name)].double() for name in ("x", "y", "heading"))
    targets = torch.stack([x, y, heading.sin(), heading.cos()], dim=1)
    if not targets.isfinite().all():
        raise ValueError("the recording's x, y or heading is not known in every row")
    return targets


def ridge_r2(
    train: Float[Tensor, "n F"],
    train_targets: Float[Tensor, "n K"],
    fold: Int[Tensor, " n"],
    test: Float[Tensor, "m F"],
    test_targets: Float[Tensor, "m K"],
) -> Float[Tensor, " K"]:
    """Return the R2 of each target on the test rows.

    Args:
        train: features to fit on; they are centred and scaled by one number, so that neither a
            rotation nor a scale of the features changes the result.
        train_targets: what to read out of them.
        fold: group of each training row; the strength is chosen by leaving groups out, of which
            there are `FOLDS`.
        test: features to judge on.
        test_targets: what should have been read.
    """
    middle, scale = train.mean(dim=0), train.var(dim=0).mean().sqrt().clamp(min=1e-12)
    features, unseen = (train - middle) / scale, (test - middle) / scale
    chosen = _choose_strengths(features, train_targets.double(), fold)
    ridge = _Ridge(features, train_targets)
    read = []
    for target, place in enumerate(chosen.tolist()):
        w, b = ridge.weights(STRENGTHS[place])
        read.append(unseen.double() @ w[:, target] + b[target])
    return r2(torch.stack(read, dim=1), test_targets.double())


def r2(read: Float[Tensor, "m K"], truth: Float[Tensor, "m K"]) -> Float[Tensor, " K"]:
    """Return 1 - squared error / variance of each column."""
    spread = (truth - truth.mean(dim=0)).square().sum(dim=0)
    return 1 - (read - truth).square().sum(dim=0) / spread.clamp(min=1e-12)


class _Ridge:
    """Ridge regressions of every strength on the same rows, from one eigen-decomposition."""

    def __init__(self, features: Float[Tensor, "n F"], targets: Float[Tensor, "n K"]) -> None:
        features, targets = features.double(), targets.double()
        self._middle, self._level = features.mean(dim=0), targets.mean(dim=0)
        n = len(features)
        # From sums, so that no centred copy of the features is made.
        gram = features.T @ features / n - torch.outer(self._middle, self._middle)
        self._cross = features.T @ targets / n - torch.outer(self._middle, self._level)
        self._values, self._vectors = torch.linalg.eigh(gram)

    def weights(self, strength: float) -> tuple[Float[Tensor, "F K"], Float[Tensor, " K"]]:
        """Return weights and biases."""
        inverse = 1 / (self._values.clamp(min=0) + strength)
        w = self._vectors @ (inverse[:, None] * (self._vectors.T @ self._cross))
        return w, self._level - self._middle @ w


def _choose_strengths(
    features: Float[Tensor, "n F"], targets: Float[Tensor, "n K"], fold: Int[Tensor, " n"]
) -> Int[Tensor, " K"]:
    """Return, for each target, which of STRENGTHS reads left-out folds best."""
    error = torch.zeros(len(STRENGTHS), targets.shape[1], dtype=torch.float64)
    for number in range(FOLDS):
        out = fold % FOLDS == number
        if not out.any() or out.all():
            raise ValueError(f"a probe needs {FOLDS} groups of training rows; group {number} lacks")
        ridge = _Ridge(features[~out], targets[~out])
        for place, strength in enumerate(STRENGTHS):
            w, b = ridge.weights(strength)
            missed = features[out].double() @ w + b - targets[out]
            error[place] += missed.square().sum(dim=0)
    return error.argmin(dim=0)


class PixelComponents:
    """The leading principal components of frames, fitted on some of them.

    Args:
        frames: flattened pixels to fit on.
        count: components kept; at most the number of frames.
    """

    def __init__(self, frames: Float[Tensor, "n X"], count: int) -> None:
        if len(frames) <= count:
            raise ValueError(f"{count} components need more frames than the {len(frames)} given")
        self._middle = frames.mean(dim=0)
        centred = frames - self._middle
        # Fewer frames than pixels: the components follow from the frames' products.
        values, vectors = torch.linalg.eigh(centred @ centred.T)
        kept = vectors[:, -count:] / values[-count:].clamp(min=1e-9).sqrt()
        self._components = centred.T @ kept

    def __call__(self, frames: Float[Tensor, "m X"]) -> Float[Tensor, "m C"]:
        """Return the components of flattened frames."""
        out: Tensor = (frames - self._middle) @ self._components
        return out
