"""Pictures of held-out steps: observed, reconstructed from latents, and imagined ahead."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import UInt8
from PIL import Image
from tensordict import TensorDict
from torch import Tensor

from pamiq_lightning.learners.imagination import HORIZONS
from pamiq_lightning.learners.roles import Decoder, Dynamics
from pamiq_lightning.offline.datamodule import held_out
from pamiq_lightning.offline.dataset import RecordingDataset
from pamiq_lightning.trainer.previews import colour, sheet

SEQUENCES = 4
"""Sequences drawn."""


def held_out_sequences(
    datasets: Sequence[RecordingDataset], wanted: Collection[str]
) -> list[TensorDict]:
    """Return unbroken sequences of held-out steps, each as long as the furthest horizon.

    Args:
        datasets: the recordings.
        wanted: which of the keys in `HEAVY` are needed.

    Raises:
        ValueError: no held-out stretch is that long.
    """
    span, found = HORIZONS[-1] + 1, []
    for steps in held_out(datasets, wanted):
        if len(steps) >= span:
            middle = (len(steps) - span) // 2
            found.append(steps[middle : middle + span])
    if not found:
        raise ValueError(f"no held-out stretch has {span} unbroken steps to draw")
    return [found[i] for i in np.linspace(0, len(found) - 1, SEQUENCES).astype(int)]


@torch.inference_mode()
def draw_reconstructed(sequences: Sequence[TensorDict], decoder: Decoder) -> Image.Image:
    """Return a sheet: the first frame of each sequence above its reconstruction."""
    first = TensorDict.cat([steps[:1] for steps in sequences]).to(decoder.device)
    rows = {
        "observed": _observed(first, decoder),
        "reconstructed": _decoded(first["latent"], first["frame"], decoder),
    }
    return sheet(rows, [""] * len(sequences))


@torch.inference_mode()
def draw_imagined(
    sequences: Sequence[TensorDict], decoder: Decoder, dynamics: Dynamics
) -> Image.Image:
    """Return a sheet: the frames 0, 1, 2, 4, 8 steps into each sequence, observed and imagined.

    Steps in between are imagined too, in closed loop with the actions taken.
    """
    rows: dict[str, Tensor] = {}
    for number, sequence in enumerate(sequences, start=1):
        steps = sequence.to(decoder.device)
        at = steps[[0, *HORIZONS]]
        imagined = dynamics.imagine(
            steps["latent"][:1], steps["action"][None, :-1], steps["state"][:1]
        )[0]
        latents = torch.cat([steps["latent"][:1], imagined[[n - 1 for n in HORIZONS]]])
        rows[f"observed {number}"] = _observed(at, decoder)
        rows[f"imagined {number}"] = _decoded(latents, at["frame"], decoder)
    return sheet(rows, ["now", *(f"+{n}" for n in HORIZONS)])


def _observed(steps: TensorDict, decoder: Decoder) -> UInt8[Tensor, "n 3 h w"]:
    """Return the frames in the decoder's size."""
    size = decoder.decode(steps["latent"][:1]).shape[-1]
    return F.interpolate(steps["frame"].float(), size=size, mode="area").to(torch.uint8)


def _decoded(latents: Tensor, frames: Tensor, decoder: Decoder) -> UInt8[Tensor, "n 3 h w"]:
    """Return the decoder's images with the mean and contrast of the frames."""
    return colour(decoder.decode(latents), frames.float()).clamp(0, 255).to(torch.uint8)
