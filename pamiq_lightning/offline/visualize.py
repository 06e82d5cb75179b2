"""What held-out moments look like to a model: seen, kept by the encoder, imagined ahead."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import UInt8
from PIL import Image
from tensordict import TensorDict
from torch import Tensor

from pamiq_lightning.learners.dynamics import HORIZONS
from pamiq_lightning.nets.forward_dynamics import ForwardDynamics
from pamiq_lightning.nets.latent_decoder import LatentDecoder
from pamiq_lightning.offline.datamodule import unbroken
from pamiq_lightning.offline.dataset import RecordingDataset
from pamiq_lightning.trainer.previews import colour, sheet

MOMENTS = 4


def held_out_moments(
    datasets: Sequence[RecordingDataset], wanted: Collection[str]
) -> list[TensorDict]:
    """Return unbroken runs of held-out steps, each from one moment to the furthest horizon.

    Args:
        experiences: the recordings.
        wanted: which of the keys that take long to read or to make are needed.

    Raises:
        ValueError: no held-out stretch is that long.
    """
    span, found = HORIZONS[-1] + 1, []
    for dataset in datasets:
        judged = dataset.split.judged
        for minute in np.unique(dataset.split.minute[judged]):
            rows = judged & (dataset.split.minute == minute)
            parts = list(dataset.rollouts(rows, wanted))
            for steps in unbroken(TensorDict.cat(parts)):
                if len(steps) >= span:
                    middle = (len(steps) - span) // 2
                    found.append(steps[middle : middle + span])
    if not found:
        raise ValueError(f"no held-out stretch has {span} unbroken steps to draw")
    return [found[i] for i in np.linspace(0, len(found) - 1, MOMENTS).astype(int)]


@torch.inference_mode()
def draw_kept(moments: Sequence[TensorDict], decoder: LatentDecoder) -> Image.Image:
    """Return a sheet: the frame of each moment, and what the decoder makes of its latent."""
    now = TensorDict.cat([moment[:1] for moment in moments]).to(_device(decoder))
    rows = {"seen": _seen(now, decoder), "kept": _drawn(now["latent"], now["frame"], decoder)}
    return sheet(rows, [""] * len(moments))


@torch.inference_mode()
def draw_imagined(
    moments: Sequence[TensorDict], decoder: LatentDecoder, dynamics: ForwardDynamics
) -> Image.Image:
    """Return a sheet: each moment and what came 1, 2, 4, 8 steps later, seen and imagined.

    The steps between are imagined too, with the actions really taken; none of them is shown to the
    model.
    """
    rows: dict[str, Tensor] = {}
    for number, moment in enumerate(moments, start=1):
        steps = moment.to(_device(decoder))
        at = steps[[0, *HORIZONS]]
        expected = dynamics.imagine(
            steps["latent"][:1], steps["action"][None, :-1], steps["state"][:1]
        )[0]
        latents = torch.cat([steps["latent"][:1], expected[[n - 1 for n in HORIZONS]]])
        rows[f"seen {number}"] = _seen(at, decoder)
        rows[f"imagined {number}"] = _drawn(latents, at["frame"], decoder)
    return sheet(rows, ["now", *(f"+{n}" for n in HORIZONS)])


def _device(net: torch.nn.Module) -> torch.device:
    return next(net.parameters()).device


def _seen(steps: TensorDict, decoder: LatentDecoder) -> UInt8[Tensor, "n 3 s s"]:
    """Return the frames in the size that the decoder draws."""
    size = decoder(steps["latent"][:1]).shape[-1]
    return F.interpolate(steps["frame"].float(), size=size, mode="area").to(torch.uint8)


def _drawn(latents: Tensor, frames: Tensor, decoder: LatentDecoder) -> UInt8[Tensor, "n 3 s s"]:
    """Return what the decoder draws, in the level and contrast of the frames it stands for."""
    return colour(decoder(latents), frames.float()).clamp(0, 255).to(torch.uint8)
