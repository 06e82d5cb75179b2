"""Synthetic transitions that can or cannot be learned, and the rewards of them.

The first token says which of two contexts they come from. In one the next latent is a fixed
function of the action, in the other it is drawn at random each time.
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
_CONTEXTS = torch.randn(2, D, generator=torch.Generator().manual_seed(5)) * 2
_LAW = torch.randn(3, P - 1, D, generator=torch.Generator().manual_seed(6))


def transitions(context: int, rows: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return latents (rows, P, D) and actions (rows, 5) in a context."""
    rng = torch.Generator().manual_seed(seed)
    action = torch.zeros(rows, 5, dtype=torch.long)
    action[:, 0] = torch.randint(0, 3, (rows,), generator=rng)
    if context == LEARNABLE:
        content = _LAW[action[:, 0]].roll(1, dims=0)
    else:
        content = torch.randn(rows, P - 1, D, generator=rng)
    return torch.cat([_CONTEXTS[context].expand(rows, 1, D), content], dim=1), action


def batch(seed: int, contexts: tuple[int, ...] = (LEARNABLE, NOISE)) -> TensorDict:
    """Return sequences (B, T + 1), from the contexts in turn."""
    parts = [transitions(contexts[n % len(contexts)], T + 1, 1000 * seed + n) for n in range(B)]
    latent, action = (torch.stack(each) for each in zip(*parts, strict=True))
    blank = {"state": torch.zeros(B, T + 1, 2, 16), "reward": torch.zeros(B, T + 1)}
    return TensorDict({"latent": latent, "action": action, **blank}, [B, T + 1])


def dynamics_learner(**changes: Any) -> SioConvDynamics:
    """Return small dynamics with every auxiliary head."""
    torch.manual_seed(0)
    settings: dict[str, Any] = {
        "latent": (P, D),
        "state": (2, 16),
        "heads": 4,
        "mix_features": 16,
        "burn_in": 1,
        "sequence_length": T,
        "dropout": 0.0,
        "lr": 3e-3,
        "aux_heads": ("ensemble", "progress", "novelty"),
        "progress_rounds": 1,
    }
    learner = SioConvDynamics(**(settings | changes))
    learner.log_dict = lambda metrics: None  # type: ignore[method-assign, assignment]
    return learner


def train(dynamics: SioConvDynamics, rounds: int, updates: int = 10, first: int = 0) -> None:
    """Train for some rounds, with a learning rate that falls to almost 0."""
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
    dynamics: SioConvDynamics, curiosity: Curiosity, context: int, rows: int = 200
) -> list[float]:
    """Return the rewards of transitions in a context that were never trained on."""
    latent, action = transitions(context, rows, seed=10**9 + context)
    net, state, found = dynamics.net.eval(), torch.zeros(1, 2, 16), []
    for t in range(rows - 1):
        if t % T == 0:
            # The state covers as many steps as in a training sequence.
            state = torch.zeros(1, 2, 16)
        prediction, state = net.step(latent[t : t + 1], action[t : t + 1], state)
        novelty = None if net.novelty is None else net.novelty(latent[t + 1])
        inputs = RewardInputs(
            latent[t + 1],
            latent[t],
            prediction,
            action[t],
            {"cell": float(context), "heading": 0.0},
            novelty,
        )
        if t % T:
            found.append(curiosity.reward(inputs))
        else:
            curiosity.reward(inputs)
    net.train()
    return found
