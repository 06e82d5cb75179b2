"""The contract of an intrinsic reward."""

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
    """What the actor knows of the transition t-1 -> t.

    Attributes:
        latent: (P, D), the observation at t.
        last_latent: (P, D), the observation at t-1.
        prediction: of step t, with a leading dimension of the imaginations in flight: imagination k
            last saw step t-1-k and was advanced by the actions really taken. There are at most
            `horizon` of them, fewer after a reset.
        last_action: (A,), the action at t-1.
        last_info: ground truth at t-1 by name; for control rewards alone.
        novelty: error of the dynamics' random network distillation at t, where it is trained.
    """

    latent: Float[Tensor, "P D"]
    last_latent: Float[Tensor, "P D"]
    prediction: Prediction
    last_action: Int[Tensor, " A"] | None = None
    last_info: Mapping[str, float] | None = None
    novelty: Float[Tensor, ""] | None = None


class Curiosity(ABC):
    """An intrinsic reward of any scale: the policy learner divides it by a running one.

    Attributes:
        horizon: imaginations in flight that it reads.
        aux_heads: auxiliary heads of the dynamics that it reads.
        info_keys: names of the ground truth that it reads; empty but for control rewards.
        state_bytes: size limit of its serialised `state_dict`.
    """

    horizon: int = 1
    aux_heads: tuple[AuxHead, ...] = ()
    info_keys: tuple[str, ...] = ()
    state_bytes: int = 0

    @abstractmethod
    def reward(self, inputs: RewardInputs) -> float:
        """Return the raw reward of one transition; called once for each, in order."""

    def state_dict(self) -> dict[str, Any]:
        """Return the state, as tensors and values that JSON knows."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the state that `state_dict` returned.

        Raises:
            KeyError: it is the state of another reward.
        """
        if state:
            raise KeyError(f"{type(self).__name__} has no state, got {sorted(state)}")


def squared_error(inputs: RewardInputs) -> float:
    """Return the mean squared error of the one-step prediction."""
    return float((inputs.latent - inputs.prediction.mean[0]).square().mean())
