"""How well dynamics predict several steps ahead, on steps they were never trained on."""

from __future__ import annotations

import torch
from tensordict import TensorDict
from torch import Tensor

from pamiq_lightning.learners.base import mean_square
from pamiq_lightning.learners.roles import Dynamics

HORIZONS = (1, 2, 4, 8)
"""Steps ahead that are compared."""


@torch.no_grad()
def imagination_errors(
    dynamics: Dynamics, steps: TensorDict, burn_in: int
) -> tuple[dict[str, Tensor], int]:
    """Return squared errors of the latents imagined from every row of an unbroken run of steps [N].

    Args:
        dynamics: what imagines.
        steps: `latent` and `action`.
        burn_in: first rows that only warm the state up.

    Returns:
        For each of `HORIZONS`, `true_error_K` with the actions taken, `shuffled_error_K` with those
        of other rows, and `copied_error_K` of copying the row's own latent; and the number of rows
        they are means of. No errors if there is no row.
    """
    count = len(steps) - HORIZONS[-1]
    if count <= burn_in:
        return {}, 0
    latent, action = steps["latent"], steps["action"]
    blank = torch.zeros(1, *dynamics.state_shape, device=latent.device)
    _, after = dynamics.forward(latent[None], action[None], blank)
    before = torch.cat([blank, after[0, :-1]])
    rows = torch.arange(burn_in, count, device=latent.device)
    ahead = rows[:, None] + torch.arange(HORIZONS[-1], device=latent.device)
    other, goal = ahead[torch.randperm(len(rows), device=latent.device)], latent[ahead + 1]
    errors = {
        "true": dynamics.imagine(latent[rows], action[ahead], before[rows]) - goal,
        "shuffled": dynamics.imagine(latent[rows], action[other], before[rows]) - goal,
        "copied": latent[rows][:, None] - goal,
    }
    return {
        f"{name}_error_{steps_ahead}": mean_square(error[:, steps_ahead - 1])
        for steps_ahead in HORIZONS
        for name, error in errors.items()
    }, len(rows)
