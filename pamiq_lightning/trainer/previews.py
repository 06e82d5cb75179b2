"""Draws what the agent saw, what its encoder kept of it, and what it had expected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from PIL import Image, ImageDraw
from tensordict import TensorDict
from torch import Tensor
from torch.nn import functional as F

from pamiq_lightning.exchange.rollouts import Rollout
from pamiq_lightning.learners.base import Learner
from pamiq_lightning.learners.decoder import ConvDecoder
from pamiq_lightning.learners.dynamics import SioConvDynamics
from pamiq_lightning.nets.forward_dynamics import ForwardDynamics
from pamiq_lightning.nets.latent_decoder import LatentDecoder
from pamiq_lightning.step import is_transition
from pamiq_lightning.trainer.run_log import RunLog
from pamiq_lightning.trainer.worker import as_tensors

COLUMNS = 4
ROWS = ("observed", "reconstructed", "predicted")
_CAPTION = 12


class PreviewRenderer:
    """Draws every window small and every so many large, where there is what it takes.

    That is a decoder, and dynamics. The small picture is the live page's, and only the newest is
    kept; it costs one step of the dynamics and two of the decoder.

    Args:
        learners: by role.
        log: takes the pictures.
        every: windows between two large pictures.
    """

    def __init__(self, learners: Mapping[str, Learner], log: RunLog, every: int) -> None:
        decoder, dynamics = learners.get("decoder"), learners.get("dynamics")
        self._tools = (
            (decoder.net, dynamics.net)
            if isinstance(decoder, ConvDecoder) and isinstance(dynamics, SioConvDynamics)
            else None
        )
        self._log, self._every, self._next = log, every, 0

    def __call__(self, rollout: Rollout) -> None:
        """Draw this window."""
        if self._tools is None:
            return
        steps = as_tensors(rollout)
        newest = newest_triple(steps, *self._tools)
        if newest is not None:
            self._log.live_picture(newest)
        if rollout.number >= self._next:
            self._next = rollout.number + self._every
            picture = triples(steps, *self._tools)
            if picture is not None:
                self._log.picture("observed_reconstructed_predicted", rollout.number, picture)


def triples(
    steps: TensorDict, decoder: LatentDecoder, dynamics: ForwardDynamics
) -> Image.Image | None:
    """Return a grid: for some steps t+1, the frame, its reconstruction, and that of the prediction.

    Returns:
        The picture, or None where the window has no sound transition.
    """
    valid = is_transition(steps).nonzero()[:, 0]
    if not len(valid):
        return None
    at = valid[torch.linspace(0, len(valid) - 1, COLUMNS).long()]
    images = _draw(steps, at, decoder, dynamics).split(len(at))
    return sheet(dict(zip(ROWS, images, strict=True)), [""] * len(at))


def newest_triple(
    steps: TensorDict, decoder: LatentDecoder, dynamics: ForwardDynamics
) -> Image.Image | None:
    """Return the same three of the newest step that has all, side by side, without captions.

    Returns:
        A picture three times as wide as high, or None where the window has no sound transition.
    """
    valid = is_transition(steps).nonzero()[:, 0]
    if not len(valid):
        return None
    strip = torch.cat(list(_draw(steps, valid[-1:], decoder, dynamics)), dim=-1)
    return as_image(strip)


@torch.no_grad()
def _draw(
    steps: TensorDict, at: Int[Tensor, " n"], decoder: LatentDecoder, dynamics: ForwardDynamics
) -> UInt8[Tensor, "m 3 s s"]:
    """Draw the n steps that follow those at `at`: all seen, then all kept, then all expected."""
    dynamics.eval()
    device = next(decoder.parameters()).device
    before, after = steps[at].to(device), steps[at + 1].to(device)
    expected, _ = dynamics.step(before["latent"], before["action"], before["state"])
    dynamics.train()
    drawn = torch.cat([decoder(after["latent"]), decoder(expected.mean)])
    frames = after["frame"].float()
    size = drawn.shape[-1]
    images = torch.cat([F.interpolate(frames, size=size, mode="area"), colour(drawn, frames)])
    return images.clamp(0, 255).to(torch.uint8)


def colour(drawn: Float[Tensor, "n 3 s s"], frames: Float[Tensor, "m 3 h w"]) -> Tensor:
    """Give standardised images the level and contrast of the frames they are of."""
    repeats = len(drawn) // len(frames)
    mean = frames.mean(dim=(1, 2, 3), keepdim=True).repeat(repeats, 1, 1, 1)
    std = frames.std(dim=(1, 2, 3), keepdim=True).repeat(repeats, 1, 1, 1)
    return drawn * std + mean


def sheet(rows: Mapping[str, UInt8[Tensor, "n 3 s s"]], columns: Sequence[str]) -> Image.Image:
    """Lay out rows of images, the name of each row above it, and of each column above all.

    Args:
        rows: images by the name of their row.
        columns: names of the columns.
    """
    size = next(iter(rows.values())).shape[-1]
    head = _CAPTION if any(columns) else 0
    whole = Image.new("RGB", (len(columns) * size, head + len(rows) * (size + _CAPTION)), "white")
    pen = ImageDraw.Draw(whole)
    for column, name in enumerate(columns):
        pen.text((column * size + 2, 0), name, fill="black")
    for row, (name, images) in enumerate(rows.items()):
        top = head + row * (size + _CAPTION)
        pen.text((2, top), name, fill="black")
        for column, image in enumerate(images):
            whole.paste(as_image(image), (column * size, top + _CAPTION))
    return whole


def as_image(image: UInt8[Tensor, "3 h w"]) -> Image.Image:
    """Return a tensor's picture."""
    return Image.fromarray(np.ascontiguousarray(image.cpu().permute(1, 2, 0).numpy()))
