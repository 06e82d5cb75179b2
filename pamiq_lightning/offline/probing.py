"""What latents of held-out minutes know of place and heading, beside what they must beat.

It reads the ground truth in `info`, which no learner may.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from tensordict import TensorDict
from torch import Tensor, nn

from pamiq_lightning.learners.ijepa import IJEPA, rank_me
from pamiq_lightning.nets.vit import standardise
from pamiq_lightning.offline.dataset import RecordingDataset
from pamiq_lightning.offline.probe import PixelComponents, place_targets, ridge_r2
from pamiq_lightning.utils.instantiate import build

PROBE_ROWS = 8192
"""Training rows that a probe is fitted on, evenly spread; held-out rows are as dense."""
COMPONENT_FRAMES = 3000
"""Frames that the principal components of pixels are fitted on."""
RANDOM_ENCODERS = 3
TRAINED, RANDOM, PIXELS = "trained encoder", "random-init encoder", "PCA of pixels"
_BATCH = 64


@dataclass(frozen=True)
class ProbeRows:
    """Frames to probe with, and what is true of them."""

    frames: Tensor
    """(n, 3, H, W) uint8"""
    targets: Tensor
    """(n, 4)"""
    minute: Tensor
    """(n,)"""
    judged: Tensor
    """(n,) bool; the others are fitted on."""

    def r2(self, features: Float[Tensor, "n F"]) -> list[float]:
        """Return the R2 of each target, read from features of these rows."""
        fit, judge = ~self.judged, self.judged
        scores = ridge_r2(
            features[fit],
            self.targets[fit],
            self.minute[fit],
            features[judge],
            self.targets[judge],
        )
        return scores.tolist()


def probe_rows(datasets: Sequence[RecordingDataset]) -> ProbeRows:
    """Choose evenly spread rows of recordings.

    Raises:
        ValueError: no minute is held out, or the place is not known.
    """
    parts = []
    total = sum(int(dataset.split.trained.sum()) for dataset in datasets)
    every, minutes = max(1, total // PROBE_ROWS), 0
    for dataset in datasets:
        chosen = np.zeros(len(dataset), np.bool_)
        chosen[::every] = True
        chosen &= dataset.split.trained | dataset.split.judged
        rollouts = dataset.rollouts(chosen, {"frame"})
        rows = TensorDict.cat([rollout.select("frame", "info") for rollout in rollouts])
        rows["target"] = place_targets(rows["info"], dataset.info_names)
        rows["minute"] = torch.from_numpy(dataset.split.minute[chosen] + minutes)
        rows["judged"] = torch.from_numpy(dataset.split.judged[chosen])
        minutes += int(dataset.split.minute[-1]) + 1
        parts.append(rows.exclude("info"))
    rows = TensorDict.cat(parts)
    if not rows["judged"].any():
        raise ValueError("no minute is held out: record ten minutes at least")
    return ProbeRows(rows["frame"], rows["target"], rows["minute"], rows["judged"])


@torch.inference_mode()
def encode(encoder: nn.Module, frames: Tensor) -> Float[Tensor, "n P D"]:
    """Encode frames in batches."""
    return torch.cat([encoder(some) for some in frames.split(_BATCH)])


def _untrained_r2(model: dict[str, Any], rows: ProbeRows) -> list[float]:
    """Return the R2s of encoders that learned nothing, the mean of a few: one draw can be lucky."""
    scores = []
    for seed in range(RANDOM_ENCODERS):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            untrained = build(IJEPA, model)
        untrained.eval()
        scores.append(rows.r2(encode(untrained.acting_module, rows.frames).flatten(1)))
    return [sum(of_one) / len(of_one) for of_one in zip(*scores, strict=True)]


def probe_table(encoder: IJEPA, rows: ProbeRows) -> tuple[dict[str, list[float]], float]:
    """Return the R2s of the trained encoder, a random one and PCA of pixels; and RankMe."""
    latents = encode(encoder.acting_module, rows.frames)
    # Lightning's CLI adds names of its own, such as `_class_path`.
    settings = {name: v for name, v in encoder.hparams.items() if not name.startswith("_")}
    class_path = f"{type(encoder).__module__}.{type(encoder).__qualname__}"
    scores = {
        TRAINED: rows.r2(latents.flatten(1)),
        RANDOM: _untrained_r2({"class_path": class_path, "init_args": settings}, rows),
        PIXELS: rows.r2(_components(rows, latents[0].numel())),
    }
    return scores, rank_me(latents[rows.judged])


@torch.inference_mode()
def _components(rows: ProbeRows, count: int) -> Float[Tensor, "n C"]:
    """Return as many principal components of the standardised frames as a latent has numbers."""
    fit = (~rows.judged).nonzero()[:, 0]
    chosen = fit[torch.linspace(0, len(fit) - 1, min(len(fit), COMPONENT_FRAMES)).long()]
    components = PixelComponents(standardise(rows.frames[chosen]).flatten(1), count)
    parts = rows.frames.split(_BATCH)
    return torch.cat([components(standardise(part).flatten(1)) for part in parts])
