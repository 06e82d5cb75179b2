"""What each role offers to the code outside a learner's own file.

Offline tools, previews and programs ask for a role and never for an algorithm. A learner offers a
role by having its methods; it inherits nothing from here. The agent runs the learner's
`acting_module`: `ActingEncoder`, `ActingDynamics` or `ActingPolicy`.

Letters: B batch, T time, K steps ahead, P tokens and D features of a latent, A action categories,
C the sum of their choices, L layers and N width of a recurrent state, H and W pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from pamiq_lightning.nets.actor_critic import ActorCriticOutput
from pamiq_lightning.nets.forward_dynamics import Prediction

ActingEncoder = Callable[[UInt8[Tensor, "B 3 H W"]], Float[Tensor, "B P D"]]
"""Called with frames, returns the latents that act."""
ActingPolicy = Callable[
    [Float[Tensor, "B P D"], Float[Tensor, "B L N"], Int[Tensor, "B A"]], ActorCriticOutput
]
"""Called with latents, the dynamics' state before them and the last action, returns logits and
values."""


class _Steps(Protocol):
    """Predicts one step."""

    def step(
        self,
        latent: Float[Tensor, "B P D"],
        action: Int[Tensor, "B A"],
        state: Float[Tensor, "B L N"],
    ) -> tuple[Prediction, Float[Tensor, "B L N"]]:
        """Predict the step after this one; return also the state after it."""


class ActingDynamics(_Steps, Protocol):
    """Predicts one step; scores the novelty of latents if a reward needs that."""

    @property
    def novelty(self) -> Callable[[Float[Tensor, "B P D"]], Float[Tensor, " B"]] | None:
        """Novelty of each latent, or None."""


class _Module(Protocol):
    """What a LightningModule brings along."""

    @property
    def device(self) -> torch.device:
        """Where its weights are; inputs must be there too."""


@runtime_checkable
class Encoder(_Module, Protocol):
    """Turns frames into latents."""

    frame_size: int
    """Height and width of a frame, in pixels."""

    def encode(self, frames: UInt8[Tensor, "B 3 H W"]) -> Float[Tensor, "B P D"]:
        """Return the latents that act."""


@runtime_checkable
class Dynamics(_Steps, _Module, Protocol):
    """Predicts the next latent from a latent, an action and a recurrent state.

    Its `validation_step` logs `pamiq_lightning.learners.imagination.imagination_errors`.
    """

    @property
    def state_shape(self) -> tuple[int, int]:
        """(L, N) of the recurrent state; a blank state is all zeros."""

    def forward(
        self,
        latent: Float[Tensor, "B T P D"],
        action: Int[Tensor, "B T A"],
        state: Float[Tensor, "B L N"],
        is_first: Bool[Tensor, "B T"] | None = None,
    ) -> tuple[Prediction, Float[Tensor, "B T L N"]]:
        """Predict the step after each of T; return also the state after each.

        The state before a row where `is_first` is blank.
        """

    def imagine(
        self,
        latent: Float[Tensor, "B P D"],
        action: Int[Tensor, "B K A"],
        state: Float[Tensor, "B L N"],
    ) -> Float[Tensor, "B K P D"]:
        """Predict K latents in closed loop: each predicted latent is the next step's input."""


@runtime_checkable
class Policy(_Module, Protocol):
    """Chooses actions."""

    def act(
        self,
        latent: Float[Tensor, "B P D"],
        state: Float[Tensor, "B L N"],
        last_action: Int[Tensor, "B A"],
    ) -> ActorCriticOutput:
        """Return action logits (B, C) and values (B,).

        `state` is the dynamics' state before `latent`; `last_action` is NO_ACTION where there is
        none.
        """


@runtime_checkable
class Decoder(_Module, Protocol):
    """Draws what a latent knows of its frame."""

    def decode(self, latents: Float[Tensor, "B P D"]) -> Float[Tensor, "B 3 h w"]:
        """Return images of mean 0 and standard deviation 1, in the decoder's own size."""


ROLES: dict[str, type] = {
    "encoder": Encoder,
    "dynamics": Dynamics,
    "policy": Policy,
    "decoder": Decoder,
}


def check_role(role: str, learner: object) -> None:
    """Check that a learner sets `replay` and offers what its role, if it is in `ROLES`, needs.

    Raises:
        ValueError: it does not; the message names the setting and what is missing.
    """
    if not hasattr(learner, "replay"):
        raise ValueError(
            f"learners.{role}.model: {type(learner).__name__} must set `replay` to a ReplaySpec"
        )
    protocol = ROLES.get(role, object)
    if not isinstance(learner, protocol):
        raise ValueError(
            f"learners.{role}.model: {type(learner).__name__} is no {role}, it lacks something of "
            f"{__name__}.{protocol.__name__}"
        )
