"""Shapes that learners share, stated once for all of them."""

from __future__ import annotations

from dataclasses import dataclass

from pamiq_lightning.utils.ranges import Width

ACTION_CHOICES = (3, 3, 3, 2, 2)
"""Choices of each action category of the body."""


@dataclass
class Shapes:
    """Shapes that learners share: their settings refer to these as `${shapes.latent}`.

    Args:
        latent: tokens and features [P, D] of the encoder's latent.
        state: blocks and width [depth, dim] of the dynamics' recurrent state.
    """

    latent: tuple[Width, Width] | None = None
    state: tuple[Width, Width] | None = None
