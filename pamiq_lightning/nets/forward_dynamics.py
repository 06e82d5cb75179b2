"""Forward dynamics: predicts the next latent from latent, action and a recurrent state.

Letters: B batch, T time, P tokens, D features, A action categories, L layers, N state size, K heads
of the ensemble, C choices of all action categories together.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from pamiq_lightning.nets.aux_heads import AuxHead, Ensemble, ErrorModel, Novelty
from pamiq_lightning.nets.latent_mix import LatentMix
from pamiq_lightning.nets.sioconv import SioConvStack

LOG_VAR_MIN, LOG_VAR_MAX = -8.0, 4.0
"""Bounds of the predicted log variance; a latent feature has variance about 1."""
FORGET_BIAS = -3.0
"""An untrained gate forgets 5 % of the present latent."""


class Prediction(NamedTuple):
    """Prediction of the next step; leading dimensions (B,) or (B, T)."""

    mean: Tensor
    """(..., P, D), mean of the next latent."""
    log_var: Tensor
    """(..., P, D), log variance of the next latent."""
    action_logits: Tensor
    """(..., C), logits of the next action, category after category."""
    reward: Tensor
    """(...), reward of this transition, in symlog space."""
    ensemble_means: Tensor | None = None
    """(K, ..., P, D), next latent by each head of the ensemble, if there is one."""
    expected_error: Tensor | None = None
    """(...), expected squared error of an earlier version, if there is an error model."""


def normal_nll(
    x: Float[Tensor, "*batch"], mean: Float[Tensor, "*batch"], log_var: Float[Tensor, "*batch"]
) -> Float[Tensor, "*batch"]:
    """Return -log N(x; mean, exp(log_var)) for each element, in nats."""
    return 0.5 * (log_var + (x - mean).square() * (-log_var).exp() + math.log(2 * math.pi))


class ForwardDynamics(nn.Module):
    """Latent mix and action embeddings -> SioConv stack -> next latent, next action, reward.

    The predicted mean is the present latent, times a gate for each token, plus a learned change. An
    untrained network predicts almost no change.

    Args:
        latent: (P, D) of the latents.
        action_choices: choices of each action category.
        depth: SioConv blocks (L).
        dim: width of the blocks and size of the state of each (N).
        heads: heads of each block.
        mix_features: size of the mixed latent.
        action_features: size of the embedding of each action category.
        dropout: probability in training.
        core: `sioconv` or `sioconv_ps`.
        aux_heads: auxiliary heads for intrinsic rewards; `ensemble`, `error_model` and `novelty`
            are None without theirs.
    """

    def __init__(
        self,
        latent: tuple[int, int],
        action_choices: tuple[int, ...],
        depth: int,
        dim: int,
        heads: int,
        mix_features: int = 64,
        action_features: int = 8,
        dropout: float = 0.1,
        core: str = "sioconv",
        aux_heads: Collection[AuxHead] = (),
    ) -> None:
        super().__init__()
        self.latent, self.state_shape = latent, (depth, dim)
        self.mix = LatentMix(latent, mix_features)
        self.actions = nn.ModuleList(nn.Embedding(n, action_features) for n in action_choices)
        self.enter = nn.Linear(mix_features + len(action_choices) * action_features, dim)
        self.core = SioConvStack(depth, dim, heads, dropout, core)
        self.norm = nn.RMSNorm(dim, eps=1e-6)
        P, D = latent
        self.change, self.forget, self.log_var = (nn.Linear(dim, n) for n in (P * D, P, P * D))
        self.next_action, self.reward = nn.Linear(dim, sum(action_choices)), nn.Linear(dim, 1)
        for head in (self.change, self.forget, self.log_var, self.next_action, self.reward):
            nn.init.zeros_(head.weight)
            nn.init.zeros_(head.bias)
        nn.init.constant_(self.forget.bias, FORGET_BIAS)
        # With a forked rng: auxiliary heads do not change the run.
        with torch.random.fork_rng(devices=[]):
            self.ensemble = Ensemble(latent, dim) if "ensemble" in aux_heads else None
            self.error_model = ErrorModel(dim) if "progress" in aux_heads else None
            self.novelty = Novelty(latent) if "novelty" in aux_heads else None

    def _enter(self, latent: Tensor, action: Tensor) -> Tensor:
        embedded = [table(action[..., i]) for i, table in enumerate(self.actions)]
        out: Tensor = self.enter(torch.cat([self.mix(latent), *embedded], dim=-1))
        return out

    def _predict(self, x: Tensor, latent: Tensor) -> Prediction:
        x = self.norm(x)
        kept = 1 - self.forget(x).sigmoid()[..., None]
        mean = latent * kept + self.change(x).unflatten(-1, self.latent)
        log_var = self.log_var(x).unflatten(-1, self.latent).clamp(LOG_VAR_MIN, LOG_VAR_MAX)
        return Prediction(
            mean,
            log_var,
            self.next_action(x),
            self.reward(x).squeeze(-1),
            None if self.ensemble is None else self.ensemble(x, latent),
            None if self.error_model is None else self.error_model(x),
        )

    def forward(
        self,
        latent: Float[Tensor, "B T P D"],
        action: Int[Tensor, "B T A"],
        state: Float[Tensor, "B L N"],
        is_first: Bool[Tensor, "B T"] | None = None,
    ) -> tuple[Prediction, Float[Tensor, "B T L N"]]:
        """Predict the step after each of T steps; also return the state after each step."""
        x, states = self.core(self._enter(latent, action), state, is_first)
        return self._predict(x, latent), states

    def step(
        self,
        latent: Float[Tensor, "B P D"],
        action: Int[Tensor, "B A"],
        state: Float[Tensor, "B L N"],
    ) -> tuple[Prediction, Float[Tensor, "B L N"]]:
        """Predict the next step; also return the new state."""
        x, state = self.core.step(self._enter(latent, action), state)
        return self._predict(x, latent), state

    def imagine(
        self,
        latent: Float[Tensor, "B P D"],
        action: Int[Tensor, "B T A"],
        state: Float[Tensor, "B L N"],
    ) -> Float[Tensor, "B T P D"]:
        """Predict the next T latents under these actions, without observations.

        Closed loop: each predicted latent is the next input.
        """
        latents = []
        for taken in action.unbind(dim=1):
            prediction, state = self.step(latent, taken, state)
            latent = prediction.mean
            latents.append(latent)
        return torch.stack(latents, dim=1)
