"""The actor: encodes the frame, acts, computes the intrinsic reward, predicts the next latent.

Within a tick the world waits for `act` alone; `finish_step` and `poll_weights` run after the action
was sent.
"""

from __future__ import annotations

import copy
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from agent.gaits import Gait
from agent.hot_swap import DoubleBufferedModule
from pamiq_lightning.checkpoint.files import value_bytes
from pamiq_lightning.curiosity.base import Curiosity, RewardInputs
from pamiq_lightning.learners.roles import ActingDynamics, ActingEncoder, ActingPolicy
from pamiq_lightning.nets.actor_critic import ActionDistribution
from pamiq_lightning.nets.forward_dynamics import Prediction
from pamiq_lightning.step import ACTING_ROLES, NO_ACTION, StepShape

WARM_UP_TICKS = 3
"""After as many no call is slow: compiled CUDA code is first run, then recorded."""


@dataclass
class ActingModules:
    """The three modules that act, each with its weights in two copies."""

    encoder: DoubleBufferedModule[ActingEncoder]
    dynamics: DoubleBufferedModule[ActingDynamics]
    policy: DoubleBufferedModule[ActingPolicy]

    def __iter__(self):  # type: ignore[no-untyped-def]
        """Iterate in the order of a row's versions."""
        return iter(getattr(self, role) for role in ACTING_ROLES)

    def versions(self) -> list[int]:
        """Return the version of each."""
        return [module.version for module in self]


@dataclass
class PendingPrediction:
    """What the last tick predicted of this one.

    Attributes:
        latent: (1, P, D) of the last frame.
        action: (1, A), the last action.
        info: ground truth of the last tick, by name.
        prediction: of all imaginations in flight (I, ...), the one begun last tick first.
        states: (I, depth, dim) of the dynamics after it.
    """

    latent: Tensor
    action: Tensor
    info: Mapping[str, float]
    prediction: Prediction
    states: Tensor


class Actor:
    """Acts with the three modules, and holds the recurrent state between ticks.

    Args:
        modules: the acting modules.
        curiosity: the intrinsic reward.
        shape: sizes of a step; the last of its `info` are the logged rewards.
        gait: chooses every action instead of the policy; default: the policy does.
        seed: of the actions sampled.
        device: where the modules are.
        logged_rewards: rewards that are logged and not learned from.
    """

    def __init__(
        self,
        modules: ActingModules,
        curiosity: Curiosity,
        shape: StepShape,
        seed: int,
        device: torch.device,
        gait: Gait | None = None,
        logged_rewards: Sequence[Curiosity] = (),
    ) -> None:
        self.modules, self.device = modules, device
        self._rewards = (curiosity, *logged_rewards)
        self._horizon = max(reward.horizon for reward in self._rewards)
        self._info_keys = shape.info_names[: len(shape.info_names) - len(logged_rewards)]
        self._choices = shape.action_choices
        self._gait = gait
        self._no_action = torch.full((1, len(self._choices)), NO_ACTION)
        self._generator = torch.Generator().manual_seed(seed)
        self._blank_state = torch.zeros(1, *shape.state, device=device)
        self.reset()

    def reset(self) -> None:
        """Forget state and prediction: the next step is a first one."""
        self._state = self._blank_state
        self._pending: PendingPrediction | None = None

    @torch.inference_mode()
    def act(self, frame: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Encode a frame (3, H, W) and sample an action (A,)."""
        self._frame = torch.from_numpy(frame)[None].to(self.device)
        self._latent = self.modules.encoder.active(self._frame)
        self._last_action = self._pending.action if self._pending else self._no_action
        output = self.modules.policy.active(
            self._latent, self._state, self._last_action.to(self.device)
        )
        logits = self._gait(self._last_action) if self._gait else output.logits.cpu()
        actions = ActionDistribution(logits, self._choices)
        self._action = actions.sample(self._generator)
        self._log_prob = float(actions.log_prob(self._action))
        self._value = float(output.value)
        action: NDArray[np.int64] = self._action[0].numpy()
        return action

    @torch.inference_mode()
    def finish_step(self, info: NDArray[np.float32], valid: bool) -> Mapping[str, ArrayLike]:
        """Reward the transition into this frame, predict the next latent; return the step's row.

        Args:
            info: the world's ground truth (K,), which goes into the row and to oracle rewards.
            valid: whether the frame shows the world; no reward is computed from one that does not,
                so that none learns from it.
        """
        reward, *logged_rewards = self._compute_rewards() if valid else self._no_rewards()
        row: dict[str, ArrayLike] = {
            "frame": self._frame[0].cpu().numpy(),
            "latent": self._latent[0].cpu().numpy(),
            "state": self._state[0].cpu().numpy(),
            "action": self._action[0].numpy(),
            "last_action": self._last_action[0].numpy(),
            "log_prob": self._log_prob,
            "value": self._value,
            "reward": reward,
            "is_first": self._pending is None,
            "versions": self.modules.versions(),
            "info": np.concatenate([info, np.array(logged_rewards, np.float32)]),
        }
        latents, states = self._imaginations()
        for module in self.modules:
            module.release_previous()
        action = self._action.to(self.device)
        prediction, states = self.modules.dynamics.active.step(
            latents, action.expand(len(latents), -1), states
        )
        self._state = states[:1]
        by_name = dict(zip(self._info_keys, info.tolist(), strict=True))
        self._pending = PendingPrediction(self._latent, self._action, by_name, prediction, states)
        return row

    def _imaginations(self) -> tuple[Tensor, Tensor]:
        """Return latents and states of all imaginations in flight.

        The first is of the observed latent; the others take their own prediction for it. A new
        encoder ends those that began with the one before: its latents mean something else.
        """
        pending = self._pending
        if self._horizon == 1 or pending is None or self.modules.encoder.just_swapped:
            return self._latent, self._state
        older = self._horizon - 1
        return (
            torch.cat([self._latent, pending.prediction.mean[:older]]),
            torch.cat([self._state, pending.states[:older]]),
        )

    def _compute_rewards(self) -> list[float]:
        """Return the reward of the transition into this frame, and the logged rewards."""
        if self._pending is None:
            return self._no_rewards()
        latent, encoder = self._latent, self.modules.encoder
        if encoder.just_swapped:
            # Encoded as the prediction was, so that a swap adds no error.
            latent = encoder.standby(self._frame)
        novelty = self.modules.dynamics.active.novelty
        inputs = RewardInputs(
            latent[0],
            self._pending.latent[0],
            self._pending.prediction,
            self._pending.action[0],
            self._pending.info,
            None if novelty is None else novelty(latent)[0],
        )
        return [reward.reward(inputs) for reward in self._rewards]

    def _no_rewards(self) -> list[float]:
        """Return 0 as the reward, and NaN for those that are logged."""
        return [0.0, *(math.nan for _ in self._rewards[1:])]

    def poll_weights(self, max_bytes: int | None) -> bool:
        """Copy newer weights in the slack, and swap in those that are complete.

        Args:
            max_bytes: how much to copy now at most, of all modules; None for everything at once.

        Returns:
            Whether there is more to copy.
        """
        for module in self.modules:
            if max_bytes is None:
                module.load_latest()
            else:
                max_bytes -= module.copy_chunk(max_bytes)
                module.swap()
        return any(module.copying for module in self.modules)

    def warm_up(self, frame: NDArray[np.uint8]) -> None:
        """Make the first, slow calls of both copies of every module before the clock starts.

        Args:
            frame: (3, H, W), any.
        """
        rng = self._generator.get_state()
        reward_states = [copy.deepcopy(reward.state_dict()) for reward in self._rewards]
        for _ in range(2):
            # Until all imaginations are in flight, and once more.
            for _ in range(max(WARM_UP_TICKS, self._horizon + 2)):
                self.act(frame)
                self.finish_step(np.zeros(len(self._info_keys), np.float32), valid=True)
            for module in self.modules:
                module.exchange()
        self._generator.set_state(rng)
        for reward, state in zip(self._rewards, reward_states, strict=True):
            reward.load_state_dict(state)
        self.reset()

    def state_dict(self) -> dict[str, Tensor]:
        """Return all that the next tick depends on but the weights, on the CPU."""
        tensors = {"rng": self._generator.get_state(), "state": self._state.cpu()}
        reward_states = [reward.state_dict() for reward in self._rewards]
        if any(reward_states):
            content = value_bytes({"rewards": reward_states})
            tensors["rewards"] = torch.frombuffer(bytearray(content), dtype=torch.uint8)
        if (pending := self._pending) is not None:
            info = [pending.info[name] for name in self._info_keys]
            tensors |= {
                "last_latent": pending.latent.cpu(),
                "last_action": pending.action.cpu(),
                "last_info": torch.tensor(info, dtype=torch.float64),
                "states": pending.states.cpu(),
            }
            for name, tensor in pending.prediction._asdict().items():
                if tensor is not None:
                    tensors[f"predicted_{name}"] = tensor.cpu()
        return tensors

    def load_state_dict(self, tensors: Mapping[str, Tensor], same_tick: bool) -> None:
        """Continue from a `state_dict`.

        Args:
            tensors: the state.
            same_tick: the next frame follows at once on the last; else the actor resets.
        """
        self._generator.set_state(tensors["rng"])
        reward_states = saved_rewards(tensors) or [{} for _ in self._rewards]
        for reward, state in zip(self._rewards, reward_states, strict=True):
            reward.load_state_dict(state)
        self.reset()
        if not same_tick:
            return
        self._state = tensors["state"].to(self.device)
        if "last_latent" in tensors:
            here = {name: tensor.to(self.device) for name, tensor in tensors.items()}
            predicted = {name: here.get(f"predicted_{name}") for name in Prediction._fields}
            self._pending = PendingPrediction(
                here["last_latent"],
                tensors["last_action"],
                dict(zip(self._info_keys, tensors["last_info"].tolist(), strict=True)),
                Prediction(**predicted),  # type: ignore[arg-type]
                here["states"],
            )


def saved_rewards(tensors: Mapping[str, Tensor]) -> list[Mapping[str, Any]]:
    """Return the states of the rewards in an actor's `state_dict`; empty where none has one."""
    if "rewards" not in tensors:
        return []
    content = io.BytesIO(tensors["rewards"].numpy().tobytes())
    states: list[Mapping[str, Any]] = torch.load(content, weights_only=True)["rewards"]
    return states
