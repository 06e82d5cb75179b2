"""The contract of a curiosity reward."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jaxtyping import Float, Int
from torch import Tensor

from pamiq_lightning.nets.aux_heads import AuxHead
from pamiq_lightning.nets.forward_dynamics import Prediction


@dataclass(frozen=True)
class RewardInputs:
    """What the mind knows of the transition t-1 -> t when it rewards it.

    Attributes:
        latent: (P, D), what was seen at t.
        last_latent: (P, D), what was seen at t-1.
        prediction: what was expected of t, leading dimension of the imaginations in flight: first
            the one that saw t-1, then the one that saw t-2 and imagined t-1 with the action really
            taken, and so on; at most as many as the longest `horizon` asked for.
        last_action: (A,), what was done at t-1.
        last_truth: the world's ground truth at t-1, by name; for controls alone.
        novelty: how new the latent is to the dynamics' random network, where there is one.
    """

    latent: Float[Tensor, "P D"]
    last_latent: Float[Tensor, "P D"]
    prediction: Prediction
    last_action: Int[Tensor, " A"] | None = None
    last_info: Mapping[str, float] | None = None
    novelty: Float[Tensor, ""] | None = None


class Curiosity(ABC):
    """A reward; its scale does not matter, the policy learner divides by a running one.

    Attributes:
        horizon: imaginations in flight that it looks at.
        aux_heads: what the dynamics must train for it.
        info_keys: names of the ground truth that it reads; only controls read any.
        state_bytes: the most that its `state` may take.
    """

    horizon: int = 1
    aux_heads: tuple[AuxHead, ...] = ()
    info_keys: tuple[str, ...] = ()
    state_bytes: int = 0

    @abstractmethod
    def reward(self, inputs: RewardInputs) -> float:
        """Return the raw reward of one transition; called once for each, in their order."""

    def state_dict(self) -> dict[str, Any]:
        """Return what it remembers, as tensors and plain values that JSON knows."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` returned.

        Raises:
            KeyError: it is the state of another reward.
        """
        if state:
            raise KeyError(f"{type(self).__name__} remembers nothing, got {sorted(state)}")


def squared_error(inputs: RewardInputs) -> float:
    """Return the mean squared error of what was expected a step before."""
    return float((inputs.latent - inputs.prediction.mean[0]).square().mean())
