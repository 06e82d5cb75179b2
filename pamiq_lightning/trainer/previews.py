"""Previews: frames as observed, as reconstructed from their latents, and as predicted."""

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
from pamiq_lightning.learners.roles import Decoder, Dynamics
from pamiq_lightning.step import is_transition
from pamiq_lightning.trainer.run_log import RunLog

COLUMNS = 4
ROWS = ("observed", "reconstructed", "predicted")
_CAPTION = 12


class PreviewRenderer:
    """Draws a small preview of every rollout and a large one of every `every`-th.

    Without a decoder and dynamics it draws nothing. The small one is the live page's, which shows
    the newest; it costs one step of the dynamics and two passes of the decoder.

    Args:
        learners: by role.
        log: takes the pictures.
        every: rollouts between two large pictures.
    """

    def __init__(self, learners: Mapping[str, Learner], log: RunLog, every: int) -> None:
        decoder, dynamics = learners.get("decoder"), learners.get("dynamics")
        self._models = (
            (decoder, dynamics)
            if isinstance(decoder, Decoder) and isinstance(dynamics, Dynamics)
            else None
        )
        self._log, self._every, self._next = log, every, 0

    def __call__(self, rollout: Rollout) -> None:
        """Draw this rollout."""
        if self._models is None:
            return
        steps = rollout.to_tensordict()
        newest = newest_preview(steps, *self._models)
        if newest is not None:
            self._log.live_image(newest)
        if rollout.number >= self._next:
            self._next = rollout.number + self._every
            picture = preview_sheet(steps, *self._models)
            if picture is not None:
                self._log.image("observed_reconstructed_predicted", rollout.number, picture)


def preview_sheet(steps: TensorDict, decoder: Decoder, dynamics: Dynamics) -> Image.Image | None:
    """Draw some steps of a rollout [N]: observed, reconstructed and predicted, one below the other.

    Returns:
        The picture, or None where the rollout has no valid transition.
    """
    valid = is_transition(steps).nonzero()[:, 0]
    if not len(valid):
        return None
    at = valid[torch.linspace(0, len(valid) - 1, COLUMNS).long()]
    images = _draw(steps, at, decoder, dynamics).split(len(at))
    return sheet(dict(zip(ROWS, images, strict=True)), [""] * len(at))


def newest_preview(steps: TensorDict, decoder: Decoder, dynamics: Dynamics) -> Image.Image | None:
    """Draw the newest step that a valid transition leads to, its three images side by side.

    Returns:
        A picture three times as wide as high, or None where the rollout has no valid transition.
    """
    valid = is_transition(steps).nonzero()[:, 0]
    if not len(valid):
        return None
    strip = torch.cat(list(_draw(steps, valid[-1:], decoder, dynamics)), dim=-1)
    return as_image(strip)


@torch.no_grad()
def _draw(
    steps: TensorDict, at: Int[Tensor, " n"], decoder: Decoder, dynamics: Dynamics
) -> UInt8[Tensor, "m 3 s s"]:
    """Draw the n steps after those at `at`: all observed, then reconstructed, then predicted."""
    before, after = steps[at].to(decoder.device), steps[at + 1].to(decoder.device)
    assert isinstance(dynamics, Learner)
    dynamics.eval()
    prediction, _ = dynamics.step(before["latent"], before["action"], before["state"])
    dynamics.train()
    decoded = torch.cat([decoder.decode(after["latent"]), decoder.decode(prediction.mean)])
    frames = after["frame"].float()
    observed = F.interpolate(frames, size=decoded.shape[-1], mode="area")
    return torch.cat([observed, colour(decoded, frames)]).clamp(0, 255).to(torch.uint8)


def colour(images: Float[Tensor, "n 3 s s"], frames: Float[Tensor, "m 3 h w"]) -> Tensor:
    """Give standardised images the mean and contrast of the frames they stand for."""
    repeats = len(images) // len(frames)
    mean = frames.mean(dim=(1, 2, 3), keepdim=True).repeat(repeats, 1, 1, 1)
    std = frames.std(dim=(1, 2, 3), keepdim=True).repeat(repeats, 1, 1, 1)
    return images * std + mean


def sheet(rows: Mapping[str, UInt8[Tensor, "n 3 s s"]], columns: Sequence[str]) -> Image.Image:
    """Lay out rows of images, each below its name, the columns below theirs.

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
    """Return an image tensor as a picture."""
    return Image.fromarray(np.ascontiguousarray(image.cpu().permute(1, 2, 0).numpy()))
