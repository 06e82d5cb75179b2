"""Linear probes: how well ridge regression reads position and heading out of latents.

A probe is fitted on training minutes, where its ridge strength is chosen too, and evaluated on
held-out minutes. It reads the ground truth in `info`, which no learner may. An encoder is compared
with untrained ones of the same class and with principal components of pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from tensordict import TensorDict
from torch import Tensor

from pamiq_lightning.learners.collapse import rank_me
from pamiq_lightning.learners.roles import Encoder
from pamiq_lightning.nets.vit import standardise
from pamiq_lightning.offline.dataset import RecordingDataset
from pamiq_lightning.offline.frozen import untrained

STRENGTHS = tuple(10.0**exponent for exponent in range(-6, 3))
"""Ridge strengths tried, in units of the features' mean variance."""
FOLDS = 5
PROBE_ROWS = 8192
"""Training rows that a probe is fitted on, evenly spread; held-out rows are as dense."""
COMPONENT_FRAMES = 3000
"""Frames that the principal components of pixels are fitted on."""
RANDOM_ENCODERS = 3
TRAINED, RANDOM, PIXELS = "trained encoder", "random-init encoder", "PCA of pixels"
_BATCH = 64


@dataclass(frozen=True)
class ProbeRows:
    """Frames to probe with, and their ground truth."""

    frames: Tensor
    """(n, 3, H, W) uint8"""
    targets: Tensor
    """(n, 4)"""
    minute: Tensor
    """(n,)"""
    evaluated: Tensor
    """(n,) bool; probes are fitted on the others."""

    def r2(self, features: Float[Tensor, "n F"]) -> list[float]:
        """Return the R2 of each target, read from features of these rows."""
        fit, test = ~self.evaluated, self.evaluated
        scores = ridge_r2(
            features[fit], self.targets[fit], self.minute[fit], features[test], self.targets[test]
        )
        return scores.tolist()


def probe_rows(datasets: Sequence[RecordingDataset]) -> ProbeRows:
    """Choose evenly spread rows of recordings.

    Raises:
        ValueError: no minute is held out, or the position is not known.
    """
    parts = []
    total = sum(int(dataset.split.trained.sum()) for dataset in datasets)
    every, minutes = max(1, total // PROBE_ROWS), 0
    for dataset in datasets:
        chosen = np.zeros(len(dataset), np.bool_)
        chosen[::every] = True
        chosen &= dataset.split.trained | dataset.split.evaluated
        rollouts = dataset.rollouts(chosen, {"frame"})
        rows = TensorDict.cat([rollout.select("frame", "info") for rollout in rollouts])
        rows["target"] = position_targets(rows["info"], dataset.info_names)
        rows["minute"] = torch.from_numpy(dataset.split.minute[chosen] + minutes)
        rows["evaluated"] = torch.from_numpy(dataset.split.evaluated[chosen])
        minutes += int(dataset.split.minute[-1]) + 1
        parts.append(rows.exclude("info"))
    rows = TensorDict.cat(parts)
    if not rows["evaluated"].any():
        raise ValueError("no minute is held out: record ten minutes at least")
    return ProbeRows(rows["frame"], rows["target"], rows["minute"], rows["evaluated"])


def probe_table(encoder: Encoder, rows: ProbeRows) -> tuple[dict[str, list[float]], float]:
    """Return the R2s of the trained encoder, of untrained ones and of PCA of pixels; and RankMe."""
    latents = encode(encoder, rows.frames)
    scores = {
        TRAINED: rows.r2(latents.flatten(1)),
        RANDOM: _untrained_r2(encoder, rows),
        PIXELS: rows.r2(_components(rows, latents[0].numel())),
    }
    return scores, rank_me(latents[rows.evaluated])


@torch.inference_mode()
def encode(encoder: Encoder, frames: Tensor) -> Float[Tensor, "n P D"]:
    """Encode frames in batches."""
    parts = frames.split(_BATCH)
    return torch.cat([encoder.encode(part.to(encoder.device)).cpu() for part in parts])


def _untrained_r2(encoder: Encoder, rows: ProbeRows) -> list[float]:
    """Return the mean R2s of a few untrained encoders: one alone can be lucky."""
    scores = []
    for seed in range(RANDOM_ENCODERS):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            other = untrained(encoder)
        scores.append(rows.r2(encode(other, rows.frames).flatten(1)))
    return [sum(of_one) / len(of_one) for of_one in zip(*scores, strict=True)]


@torch.inference_mode()
def _components(rows: ProbeRows, count: int) -> Float[Tensor, "n C"]:
    """Return as many principal components of the standardised frames as a latent has features."""
    fit = (~rows.evaluated).nonzero()[:, 0]
    chosen = fit[torch.linspace(0, len(fit) - 1, min(len(fit), COMPONENT_FRAMES)).long()]
    components = PixelComponents(standardise(rows.frames[chosen]).flatten(1), count)
    parts = rows.frames.split(_BATCH)
    return torch.cat([components(standardise(part).flatten(1)) for part in parts])


def position_targets(info: Float[Tensor, "n K"], names: Sequence[str]) -> Float[Tensor, "n 4"]:
    """Return the targets of a probe: x, y (metres), sin and cos of the heading.

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
        train: features to fit on, centred and scaled by one number: a rotation or a scale of the
            features does not change the result.
        train_targets: their targets.
        fold: group of each training row; cross-validation over `FOLDS` groups chooses the strength.
        test: features to evaluate on.
        test_targets: their targets.
    """
    mean, scale = train.mean(dim=0), train.var(dim=0).mean().sqrt().clamp(min=1e-12)
    features, held_out = (train - mean) / scale, (test - mean) / scale
    chosen = _choose_strengths(features, train_targets.double(), fold)
    ridge = _Ridge(features, train_targets)
    predicted = []
    for target, strength in enumerate(chosen.tolist()):
        w, b = ridge.weights(STRENGTHS[strength])
        predicted.append(held_out.double() @ w[:, target] + b[target])
    return r2(torch.stack(predicted, dim=1), test_targets.double())


def r2(predicted: Float[Tensor, "m K"], truth: Float[Tensor, "m K"]) -> Float[Tensor, " K"]:
    """Return 1 - squared error / variance of each column."""
    spread = (truth - truth.mean(dim=0)).square().sum(dim=0)
    return 1 - (predicted - truth).square().sum(dim=0) / spread.clamp(min=1e-12)


class _Ridge:
    """Ridge regressions of every strength on the same rows, from one eigen-decomposition."""

    def __init__(self, features: Float[Tensor, "n F"], targets: Float[Tensor, "n K"]) -> None:
        features, targets = features.double(), targets.double()
        self._mean, self._target_mean = features.mean(dim=0), targets.mean(dim=0)
        n = len(features)
        # From sums: a centred copy of the features would double the memory.
        gram = features.T @ features / n - torch.outer(self._mean, self._mean)
        self._cross = features.T @ targets / n - torch.outer(self._mean, self._target_mean)
        self._values, self._vectors = torch.linalg.eigh(gram)

    def weights(self, strength: float) -> tuple[Float[Tensor, "F K"], Float[Tensor, " K"]]:
        """Return weights and biases."""
        inverse = 1 / (self._values.clamp(min=0) + strength)
        w = self._vectors @ (inverse[:, None] * (self._vectors.T @ self._cross))
        return w, self._target_mean - self._mean @ w


def _choose_strengths(
    features: Float[Tensor, "n F"], targets: Float[Tensor, "n K"], fold: Int[Tensor, " n"]
) -> Int[Tensor, " K"]:
    """Return, for each target, the index in STRENGTHS with the least error on left-out folds."""
    error = torch.zeros(len(STRENGTHS), targets.shape[1], dtype=torch.float64)
    for number in range(FOLDS):
        out = fold % FOLDS == number
        if not out.any() or out.all():
            raise ValueError(f"a probe needs {FOLDS} groups of training rows; group {number} lacks")
        ridge = _Ridge(features[~out], targets[~out])
        for index, strength in enumerate(STRENGTHS):
            w, b = ridge.weights(strength)
            residual = features[out].double() @ w + b - targets[out]
            error[index] += residual.square().sum(dim=0)
    return error.argmin(dim=0)


class PixelComponents:
    """The leading principal components of frames, fitted on some of them.

    Args:
        frames: flattened pixels to fit on.
        count: number of components; below the number of frames.
    """

    def __init__(self, frames: Float[Tensor, "n X"], count: int) -> None:
        if len(frames) <= count:
            raise ValueError(f"{count} components need more frames than the {len(frames)} given")
        self._mean = frames.mean(dim=0)
        centred = frames - self._mean
        # Fewer frames than pixels: the components follow from the frames' products.
        values, vectors = torch.linalg.eigh(centred @ centred.T)
        leading = vectors[:, -count:] / values[-count:].clamp(min=1e-9).sqrt()
        self._components = centred.T @ leading

    def __call__(self, frames: Float[Tensor, "m X"]) -> Float[Tensor, "m C"]:
        """Return the components of flattened frames."""
        out: Tensor = (frames - self._mean) @ self._components
        return out
