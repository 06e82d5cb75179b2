"""Gaits: random policies that learn nothing, the yardstick of every learned one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from agent.actions import ACTIONS, CHOICES

Gait = Callable[[Int[Tensor, "B A"]], Float[Tensor, "B C"]]
"""Called with the last action, returns the logits of the next."""

GAITS = ("sticky", "jitter", "forward")
"""Names of all gaits."""
REDRAW = 0.1
"""Probability with which a sticky gait draws a category anew, each tick."""
FORWARD = 0.8
"""Probability of each draw of the gait `forward` to choose forward."""


def make_gait(name: str) -> Gait:
    """Return a gait.

    `jitter` draws every category uniformly at every tick. `sticky` keeps each category's choice
    but for a uniform draw with probability `REDRAW`. `forward` is sticky, too, and draws forward
    with probability `FORWARD`.
    """
    draw = {axis.name: [1 / n] * n for axis, n in zip(ACTIONS, CHOICES, strict=True)}
    if name == "forward":
        draw["vertical"] = [(1 - FORWARD) / 2, FORWARD, (1 - FORWARD) / 2]
    redraw = 1.0 if name == "jitter" else REDRAW
    return _Redraw(list(draw.values()), redraw)


class _Redraw:
    """Keeps each category's choice, or draws it anew.

    Args:
        draw: probabilities of each category's choices.
        redraw: probability of a draw; where there is no last action it is certain.
    """

    def __init__(self, draw: Sequence[Sequence[float]], redraw: float) -> None:
        self._draw = [torch.tensor(probabilities) for probabilities in draw]
        self._redraw = redraw

    def __call__(self, last_action: Int[Tensor, "B A"]) -> Float[Tensor, "B C"]:
        """Return the logits of the next action."""
        parts = []
        for i, draw in enumerate(self._draw):
            last = last_action[:, i : i + 1]
            kept = (last == torch.arange(len(draw))).float()
            redraw = torch.where(last < 0, 1.0, self._redraw)
            parts.append((1 - redraw) * kept + redraw * draw)
        return torch.cat(parts, dim=-1).log()
