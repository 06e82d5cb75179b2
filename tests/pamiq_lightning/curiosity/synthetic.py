"""Made-up transitions, some of which can be learned, and what rewards make of them.

Two places, told apart by the first token. At the one the next latent is a fixed function of the
action, at the other it is drawn anew each time.
"""

from __future__ import annotations

from typing import Any

import torch
from tensordict import TensorDict
from torch import Tensor

from pamiq_lightning.curiosity.base import Curiosity, RewardInputs
from pamiq_lightning.learners.dynamics import SioConvDynamics

P, D, T, B = 4, 8, 8, 16
LEARNABLE, NOISE = 0, 1
_PLACES = torch.randn(2, D, generator=torch.Generator().manual_seed(5)) * 2
_LAW = torch.randn(3, P - 1, D, generator=torch.Generator().manual_seed(6))


def stretch(place: int, rows: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return latents (rows, P, D) and actions (rows, 5) at a place."""
    rng = torch.Generator().manual_seed(seed)
    action = torch.zeros(rows, 5, dtype=torch.long)
    action[:, 0] = torch.randint(0, 3, (rows,), generator=rng)
    if place == LEARNABLE:
        content = _LAW[action[:, 0]].roll(1, dims=0)
    else:
        content = torch.randn(rows, P - 1, D, generator=rng)
    return torch.cat([_PLACES[place].expand(rows, 1, D), content], dim=1), action


def batch(seed: int, places: tuple[int, ...] = (LEARNABLE, NOISE)) -> TensorDict:
    """Return slices (B, T + 1), the places in turn."""
    parts = [stretch(places[n % len(places)], T + 1, 1000 * seed + n) for n in range(B)]
    latent, action = (torch.stack(each) for each in zip(*parts, strict=True))
    blank = {"state": torch.zeros(B, T + 1, 2, 16), "reward": torch.zeros(B, T + 1)}
    return TensorDict({"latent": latent, "action": action, **blank}, [B, T + 1])


def learner(**changes: Any) -> SioConvDynamics:
    """Return small dynamics with all that any reward needs."""
    torch.manual_seed(0)
    settings: dict[str, Any] = {
        "latent": (P, D),
        "state": (2, 16),
        "heads": 4,
        "mix_features": 16,
        "burn_in": 1,
        "slice_length": T,
        "dropout": 0.0,
        "lr": 3e-3,
        "aux_heads": ("ensemble", "progress", "novelty"),
        "progress_rounds": 1,
    }
    made = SioConvDynamics(**(settings | changes))
    made.log_dict = lambda metrics: None  # type: ignore[method-assign, assignment]
    return made


def train(dynamics: SioConvDynamics, rounds: int, updates: int = 10, first: int = 0) -> None:
    """Train so many rounds, the learning rate falling to almost 0: the model settles."""
    optimizer = dynamics.configure_optimizers()
    rate = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, rounds * updates, 1e-5)
    for done in range(rounds):
        assert dynamics.lagged is None or dynamics.lagged.age(dynamics.net) is None
        for update in range(updates):
            dynamics.training_step(batch(first + done * updates + update), 0).backward()
            optimizer.step()
            optimizer.zero_grad()
            rate.step()


@torch.inference_mode()
def rewards(
    dynamics: SioConvDynamics, curiosity: Curiosity, place: int, rows: int = 200
) -> list[float]:
    """Return what a reward says of transitions at a place that were never trained on."""
    latent, action = stretch(place, rows, seed=10**9 + place)
    net, state, found = dynamics.net.eval(), torch.zeros(1, 2, 16), []
    for t in range(rows - 1):
        if t % T == 0:
            # As long a memory as a slice has.
            state = torch.zeros(1, 2, 16)
        prediction, state = net.step(latent[t : t + 1], action[t : t + 1], state)
        novelty = None if net.novelty is None else net.novelty(latent[t + 1])
        inputs = RewardInputs(
            latent[t + 1],
            latent[t],
            prediction,
            action[t],
            {"cell": float(place), "heading": 0.0},
            novelty,
        )
        if t % T:
            found.append(curiosity.reward(inputs))
        else:
            curiosity.reward(inputs)
    net.train()
    return found
