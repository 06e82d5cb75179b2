"""Block masks of I-JEPA: the context patches that are visible, and the target patches.

Source: Assran et al. 2023 (arXiv:2301.08243), section 3 and appendix A.1. Unlike in the paper's
code, blocks reach every patch of the grid, scale and aspect are drawn independently, retries are
bounded, and lists are cut to the batch minimum at random: no part of the image is starved.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Int
from torch import Tensor

RETRIES = 20


class Masks(NamedTuple):
    """Patch numbers, row by row from the upper left."""

    context: Tensor
    """(B, N) patches that the encoder sees."""
    targets: Tensor
    """(B, K, M) patches of each target block; none is in the context."""


@dataclass(frozen=True)
class MaskSampler:
    """Draws masks for a batch; one block size per batch, positions per image.

    Attributes:
        grid: patches along a side.
        targets: target blocks (K).
        target_scale: smallest and largest share of the image that a target block covers.
        target_aspect: smallest and largest height / width of a target block.
        context_scale: smallest and largest share of the image that the context block covers.
        min_keep: least number of context patches, if `RETRIES` draws find that many.
        reference_quirks: draw as the sampler of the paper's code does, to compare with it: blocks
            never touch the last row and column, one number drives both scale and aspect of the
            targets, areas are rounded down, and lists are cut in row-major order, which starves the
            lower rows. Retries stay bounded; the reference's are not.
    """

    grid: int
    targets: int = 4
    target_scale: tuple[float, float] = (0.15, 0.2)
    target_aspect: tuple[float, float] = (0.75, 1.5)
    context_scale: tuple[float, float] = (0.85, 1.0)
    min_keep: int = 10
    reference_quirks: bool = False

    def __post_init__(self) -> None:
        if self.grid < 3 or self.target_scale[1] >= self.context_scale[0]:
            raise ValueError(
                f"a grid of {self.grid}x{self.grid} patches with targets of scale "
                f"{self.target_scale} may leave no context: use 3x3 at least, and targets "
                f"smaller than the context {self.context_scale}"
            )

    @property
    def _reach(self) -> int:
        """Rows and columns, from the first on, that blocks may cover."""
        return self.grid - 1 if self.reference_quirks else self.grid

    def _size(self, scale: float, aspect: float) -> tuple[int, int]:
        area = scale * self.grid**2
        if self.reference_quirks:
            area = math.floor(area)
        height = min(max(round(math.sqrt(area * aspect)), 1), self._reach)
        width = min(max(round(math.sqrt(area / aspect)), 1), self._reach)
        return height, width

    def _target_size(self) -> tuple[int, int]:
        lot = float(torch.rand(()))
        other = lot if self.reference_quirks else float(torch.rand(()))
        return self._size(_between(self.target_scale, lot), _between(self.target_aspect, other))

    def __call__(self, batch: int) -> Masks:
        """Draw masks for `batch` images from torch's default generator."""
        height, width = self._target_size()
        side = self._size(_between(self.context_scale, float(torch.rand(()))), 1.0)
        blocks = self._blocks(batch, self.targets, height, width)
        context = self._context(batch, side, blocks)
        for _ in range(RETRIES):
            poor = context.sum(dim=1) < self.min_keep
            if not poor.any():
                break
            again = self._blocks(batch, self.targets, height, width)
            retried = self._context(batch, side, again)
            better = poor & (retried.sum(dim=1) > context.sum(dim=1))
            blocks[better], context[better] = again[better], retried[better]
        hopeless = ~context.any(dim=1)
        if hopeless.any():
            # On a small grid targets can cover everything in every draw: one target, K times.
            blocks[hopeless] = blocks[hopeless, :1]
            context[hopeless] = self._context(batch, side, blocks)[hopeless]
        numbers = blocks.flatten(2).nonzero()[:, 2].view(batch, self.targets, height * width)
        return Masks(_pick_same_count(context, at_random=not self.reference_quirks), numbers)

    def _blocks(self, batch: int, count: int, height: int, width: int) -> Bool[Tensor, "B K h w"]:
        """Place `count` rectangles per image anywhere within reach."""
        top = torch.randint(self._reach - height + 1, (batch, count, 1, 1))
        left = torch.randint(self._reach - width + 1, (batch, count, 1, 1))
        row = torch.arange(self.grid)[:, None]
        column = torch.arange(self.grid)[None, :]
        inside = (row >= top) & (row < top + height) & (column >= left) & (column < left + width)
        return inside

    def _context(
        self, batch: int, side: tuple[int, int], blocks: Bool[Tensor, "B K h w"]
    ) -> Bool[Tensor, "B T"]:
        """One block per image, minus all its targets."""
        block = self._blocks(batch, 1, *side)[:, 0]
        return (block & ~blocks.any(dim=1)).flatten(1)


def _between(bounds: tuple[float, float], lot: float) -> float:
    return bounds[0] + (bounds[1] - bounds[0]) * lot


def _pick_same_count(chosen: Bool[Tensor, "B T"], at_random: bool) -> Int[Tensor, "B N"]:
    """Return the same number of chosen patches for every image: the least that any has."""
    count = int(chosen.sum(dim=1).min())
    lots = torch.rand(chosen.shape) if at_random else torch.linspace(1, 0, chosen.shape[1])
    lots = lots.expand(chosen.shape).masked_fill(~chosen, -1.0)
    return lots.topk(count, dim=1).indices.sort(dim=1).values
