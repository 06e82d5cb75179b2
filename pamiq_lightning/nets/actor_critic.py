"""Policy and value on one trunk, for actions of several categories (MultiDiscrete).

Letters: B batch, P tokens, D features, L layers, N state size, A action categories, C choices of
all categories together, H width of the trunk.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from pamiq_lightning.nets.latent_mix import LatentMix
from pamiq_lightning.nets.running_norm import RunningNorm


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

    def divergences(self, other: ActionDistribution) -> Float[Tensor, "B A"]:
        """Return the KL divergence of each category from another distribution's, in nats."""
        pairs = zip(self.categories, other.categories, strict=True)
        return torch.stack([torch.distributions.kl_divergence(a, b) for a, b in pairs], dim=-1)


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


def _zero(linear: nn.Linear) -> None:
    nn.init.zeros_(linear.weight)
    nn.init.zeros_(linear.bias)


def _orthogonal(linear: nn.Linear, gain: float) -> None:
    nn.init.orthogonal_(linear.weight, gain)
    nn.init.zeros_(linear.bias)


class KeepPrior(nn.Module):
    """Raises the logit of each category's last choice, so that actions persist.

    Args:
        choices: choices of each category.
        probability: with which a category keeps its last choice where all other logits are equal.

    Raises:
        ValueError: the probability is not between 0 and 1.
    """

    start: Tensor
    category: Tensor
    choice: Tensor

    def __init__(self, choices: tuple[int, ...], probability: float) -> None:
        super().__init__()
        if not 0 < probability < 1:
            raise ValueError(f"keep_probability={probability}: must be above 0 and below 1")
        # Category and choice of each logit.
        categories = [i for i, n in enumerate(choices) for _ in range(n)]
        self.register_buffer("category", torch.tensor(categories), persistent=False)
        self.register_buffer(
            "choice", torch.cat([torch.arange(n) for n in choices]), persistent=False
        )
        odds = probability / (1 - probability)
        self.keep = nn.Parameter(torch.tensor([math.log(odds * (n - 1)) for n in choices]))
        self.register_buffer("start", self.keep.detach().clone())

    def one_hot(self, last_action: Int[Tensor, "B A"]) -> Float[Tensor, "B C"]:
        """Return the last choices as 0 and 1; all 0 where there is none."""
        return (last_action[..., self.category] == self.choice).to(self.keep.dtype)

    def forward(self, last_action: Int[Tensor, "B A"]) -> Float[Tensor, "B C"]:
        """Return what to add to the logits."""
        return self._scaled(last_action, self.keep)

    def at_start(self, last_action: Int[Tensor, "B A"]) -> Float[Tensor, "B C"]:
        """Return the logits of the untrained policy."""
        return self._scaled(last_action, self.start)

    def _scaled(
        self, last_action: Int[Tensor, "B A"], keep: Float[Tensor, " A"]
    ) -> Float[Tensor, "B C"]:
        return self.one_hot(last_action) * keep[self.category]


class ActorCritic(nn.Module):
    """Latent, recurrent state and last action -> action logits and value.

    At the start the logits are those of the keep prior alone.

    Args:
        latent: (P, D) of the latents.
        state: (L, N) of the dynamics' recurrent state before this latent.
        action_choices: choices of each action category.
        dim: width of the trunk.
        depth: residual layers of the trunk.
        mix_features: size of the mixed latent.
        keep_probability: with which the untrained policy keeps each category's choice.
    """

    counts: Tensor

    def __init__(
        self,
        latent: tuple[int, int],
        state: tuple[int, int],
        action_choices: tuple[int, ...],
        dim: int,
        depth: int,
        mix_features: int = 256,
        keep_probability: float = 0.9,
    ) -> None:
        super().__init__()
        self.choices = tuple(action_choices)
        counts = [float(n) for n in self.choices for _ in range(n)]
        self.register_buffer("counts", torch.tensor(counts), persistent=False)
        self.prior = KeepPrior(self.choices, keep_probability)
        self.latent_norm = RunningNorm(latent)
        self.mix = LatentMix(latent, mix_features)
        self.mix_norm = nn.LayerNorm(mix_features)
        # A state has no fixed scale: slow heads sum up many inputs.
        self.state_norm = RunningNorm(state)
        # One layer for each part, so that each has the same share of the trunk's input.
        self.enter_latent = nn.Linear(mix_features, dim)
        self.enter_state = nn.Linear(state[0] * state[1], dim, bias=False)
        self.enter_action = nn.Linear(sum(self.choices), dim, bias=False)
        self.trunk = nn.Sequential(*(ResidualLayer(dim) for _ in range(depth)), nn.LayerNorm(dim))
        self.actor, self.critic = nn.Linear(dim, sum(self.choices)), nn.Linear(dim, 1)
        for enter in (self.enter_latent, self.enter_state, self.enter_action):
            # Features of variance 1 then make outputs of variance 1.
            nn.init.normal_(enter.weight, std=1 / math.sqrt(enter.in_features))
        nn.init.zeros_(self.enter_latent.bias)
        _zero(self.actor)
        _orthogonal(self.critic, 1.0)

    def observe(self, latent: Float[Tensor, "B P D"], state: Float[Tensor, "B L N"]) -> None:
        """Update the running means and variances by which inputs are normalised."""
        self.latent_norm.update(latent)
        self.state_norm.update(state)

    def parts(
        self,
        latent: Float[Tensor, "B P D"],
        state: Float[Tensor, "B L N"],
        last_action: Int[Tensor, "B A"],
    ) -> tuple[Float[Tensor, "B H"], Float[Tensor, "B H"], Float[Tensor, "B H"]]:
        """Return what latent, state and last action add to the trunk's input."""
        return (
            self.enter_latent(self.mix_norm(self.mix(self.latent_norm(latent)))),
            self.enter_state(self.state_norm(state).flatten(1)),
            self.enter_action(self._standardised(last_action)),
        )

    def _standardised(self, last_action: Int[Tensor, "B A"]) -> Float[Tensor, "B C"]:
        """Return the last choices with mean 0 and variance 1 for uniform actions; 0 for none."""
        spread = (self.counts - 1).rsqrt()
        standardised = (self.prior.one_hot(last_action) * self.counts - 1) * spread
        return standardised * (last_action[..., :1] >= 0)

    def features(
        self,
        latent: Float[Tensor, "B P D"],
        state: Float[Tensor, "B L N"],
        last_action: Int[Tensor, "B A"],
    ) -> Float[Tensor, "B H"]:
        """Return the input of both heads."""
        x: Tensor = self.trunk(sum(self.parts(latent, state, last_action)))
        return x

    def forward(
        self,
        latent: Float[Tensor, "B P D"],
        state: Float[Tensor, "B L N"],
        last_action: Int[Tensor, "B A"],
    ) -> ActorCriticOutput:
        """Return policy logits and value of each row."""
        x = self.features(latent, state, last_action)
        logits = self.actor(x) + self.prior(last_action)
        return ActorCriticOutput(logits, self.critic(x).squeeze(-1))

    def distribution(self, logits: Float[Tensor, "B C"]) -> ActionDistribution:
        """Return the action distribution of these logits."""
        return ActionDistribution(logits, self.choices)
