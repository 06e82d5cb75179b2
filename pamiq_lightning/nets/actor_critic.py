"""Policy and value on one trunk, for actions of several categories (MultiDiscrete).

Letters: B batch, P tokens, D features, L layers, N state size, A action categories, C choices of
all categories together.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from pamiq_lightning.nets.latent_mix import LatentMix


class ActionDistribution:
    """Independent categorical distributions, one for each action category.

    Args:
        logits: (B, C), category after category.
        choices: choices of each category.
    """

    def __init__(self, logits: Float[Tensor, "B C"], choices: tuple[int, ...]) -> None:
        self.categories = [
            torch.distributions.Categorical(logits=part, validate_args=False)
            for part in logits.split(choices, dim=-1)
        ]

    def sample(self, generator: torch.Generator | None = None) -> Int[Tensor, "B A"]:
        """Sample one action for each row."""
        draws = [c.probs.multinomial(1, generator=generator) for c in self.categories]
        return torch.cat(draws, dim=-1)

    def log_prob(self, action: Int[Tensor, "B A"]) -> Float[Tensor, " B"]:
        """Return the joint log-probability of the actions."""
        each = [c.log_prob(action[..., i]) for i, c in enumerate(self.categories)]
        return torch.stack(each).sum(dim=0)

    def entropies(self) -> Float[Tensor, "B A"]:
        """Return the entropy of each category, in nats."""
        return torch.stack([c.entropy() for c in self.categories], dim=-1)


class ActorCriticOutput(NamedTuple):
    """Policy and value of each row."""

    logits: Tensor
    """(B, C), category after category."""
    value: Tensor
    """(B,), of the normalised return."""


class ResidualLayer(nn.Module):
    """x + GELU(Linear(LayerNorm x)), with orthogonal initialisation."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm, self.linear = nn.LayerNorm(dim), nn.Linear(dim, dim)
        _orthogonal(self.linear, math.sqrt(2))

    def forward(self, x: Float[Tensor, "B N"]) -> Float[Tensor, "B N"]:
        """Apply the layer."""
        return x + nn.functional.gelu(self.linear(self.norm(x)))


def _orthogonal(linear: nn.Linear, gain: float) -> None:
    nn.init.orthogonal_(linear.weight, gain)
    nn.init.zeros_(linear.bias)


class ActorCritic(nn.Module):
    """Latent and recurrent state -> action logits and value.

    Args:
        latent: (P, D) of the latents.
        state: (L, N) of the dynamics' recurrent state before this latent.
        action_choices: choices of each action category.
        dim: width of the trunk.
        depth: residual layers of the trunk.
        mix_features: size of the mixed latent.
    """

    def __init__(
        self,
        latent: tuple[int, int],
        state: tuple[int, int],
        action_choices: tuple[int, ...],
        dim: int,
        depth: int,
        mix_features: int = 64,
    ) -> None:
        super().__init__()
        self.choices = tuple(action_choices)
        self.mix = LatentMix(latent, mix_features)
        # A state has no fixed scale (slow heads sum up many inputs): each layer is normalised.
        self.state_norm = nn.LayerNorm(state[1])
        self.enter = nn.Linear(mix_features + state[0] * state[1], dim)
        self.trunk = nn.Sequential(*(ResidualLayer(dim) for _ in range(depth)), nn.LayerNorm(dim))
        self.actor, self.critic = nn.Linear(dim, sum(self.choices)), nn.Linear(dim, 1)
        _orthogonal(self.enter, math.sqrt(2))
        _orthogonal(self.actor, 0.01)
        _orthogonal(self.critic, 1.0)

    def features(
        self, latent: Float[Tensor, "B P D"], state: Float[Tensor, "B L N"]
    ) -> Float[Tensor, "B F"]:
        """Return the input of both heads."""
        normed = self.state_norm(state).flatten(1)
        x: Tensor = self.trunk(self.enter(torch.cat([self.mix(latent), normed], dim=-1)))
        return x

    def forward(
        self, latent: Float[Tensor, "B P D"], state: Float[Tensor, "B L N"]
    ) -> ActorCriticOutput:
        """Return policy logits and value of each row."""
        x = self.features(latent, state)
        return ActorCriticOutput(self.actor(x), self.critic(x).squeeze(-1))

    def distribution(self, logits: Float[Tensor, "B C"]) -> ActionDistribution:
        """Return the action distribution of these logits."""
        return ActionDistribution(logits, self.choices)
