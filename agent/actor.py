"""The agent's mind: encodes what it sees, acts, rewards itself for surprise, predicts.

Within a tick, `act` is all that the world waits for; `reflect` and `poll_weights` come after the
action is on its way.
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

from agent.hot_swap import DoubleBufferedModule
from pamiq_lightning.checkpoint.files import value_bytes
from pamiq_lightning.curiosity.base import Curiosity, RewardInputs
from pamiq_lightning.learners.ppo import PPOPolicy
from pamiq_lightning.nets.actor_critic import ActionDistribution
from pamiq_lightning.nets.forward_dynamics import ForwardDynamics, Prediction
from pamiq_lightning.nets.vit import LatentEncoder
from pamiq_lightning.step import ACTING_ROLES, StepShape

WARM_UP_TICKS = 3
"""As many until no call is slow: what is compiled for a card is first run, then recorded."""


@dataclass
class ActingModules:
    """The three modules that act."""

    encoder: DoubleBufferedModule[LatentEncoder]
    dynamics: DoubleBufferedModule[ForwardDynamics]
    policy: DoubleBufferedModule[PPOPolicy]

    def __iter__(self):  # type: ignore[no-untyped-def]
        """Iterate in the order of a row's versions."""
        return iter(getattr(self, role) for role in ACTING_ROLES)

    def versions(self) -> list[int]:
        """Return the version of each."""
        return [module.version for module in self]


@dataclass
class PendingPrediction:
    """What was known when the last tick ended.

    Attributes:
        prediction: of all imaginations in flight, the one that saw the latent first.
        states: of the dynamics after it, of each imagination.
    """

    latent: Tensor
    action: Tensor
    info: Mapping[str, float]
    prediction: Prediction
    states: Tensor


class Actor:
    """Holds the recurrent state.

    Args:
        modules: what acts.
        curiosity: the reward.
        shape: sizes of a row; the last of its `info` are the rewards beside.
        random_policy: choose every action uniformly instead of by the policy.
        seed: seed of the actions drawn.
        device: where the modules are.
        beside: rewards that are only written down.
    """

    def __init__(
        self,
        modules: ActingModules,
        curiosity: Curiosity,
        shape: StepShape,
        random_policy: bool,
        seed: int,
        device: torch.device,
        logged_rewards: Sequence[Curiosity] = (),
    ) -> None:
        self.modules, self.device = modules, device
        self._rewards = (curiosity, *logged_rewards)
        self._horizon = max(reward.horizon for reward in self._rewards)
        self._info_keys = shape.info_names[: len(shape.info_names) - len(logged_rewards)]
        self._choices = shape.action_choices
        self._random_policy = random_policy
        self._generator = torch.Generator().manual_seed(seed)
        self._blank_state = torch.zeros(1, *shape.state, device=device)
        self.reset()

    def reset(self) -> None:
        """Forget the moment: the next row is a first one."""
        self._state = self._blank_state
        self._expected: PendingPrediction | None = None

    def warm_up(self, frame: NDArray[np.uint8]) -> None:
        """Make the first, slow calls before the clock starts: of both copies of every module.

        Args:
            frame: (3, H, W), any.
        """
        random = self._generator.get_state()
        remembered = [copy.deepcopy(reward.state()) for reward in self._rewards]
        for _ in range(2):
            # As many as it takes until all imaginations are in flight, and one more.
            for _ in range(max(WARM_UP_TICKS, self._horizon + 2)):
                self.act(frame)
                self.finish_step(np.zeros(len(self._info_keys), np.float32), sees=True)
            for module in self.modules:
                module.exchange()
        self._generator.set_state(random)
        for reward, state in zip(self._rewards, remembered, strict=True):
            reward.load_state(state)
        self.reset()

    def state(self) -> dict[str, Tensor]:
        """Return all that the next tick depends on but the weights, on the CPU."""
        told = {"chance": self._generator.get_state(), "state": self._state.cpu()}
        remembered = [reward.state() for reward in self._rewards]
        if any(remembered):
            whole = value_bytes({"rewards": remembered})
            told["rewards"] = torch.frombuffer(bytearray(whole), dtype=torch.uint8)
        if (known := self._expected) is not None:
            told |= {"latent": known.latent.cpu(), "last_action": known.action.cpu()}
            told |= {"states": known.states.cpu()}
            info = [known.info[name] for name in self._info_keys]
            told["truth"] = torch.tensor(info, dtype=torch.float64)
            for name, tensor in known.prediction._asdict().items():
                if tensor is not None:
                    told[f"expected_{name}"] = tensor.cpu()
        return told

    def restore(self, told: Mapping[str, Tensor], same_agent_state: bool) -> None:
        """Go on from what `state` returned.

        Args:
            told: it.
            same_agent_state: the next frame follows at once on the last; else it resets.
        """
        self._generator.set_state(told["chance"])
        remembered: list[Mapping[str, Any]] = [{} for _ in self._rewards]
        if "rewards" in told:
            content = io.BytesIO(told["rewards"].numpy().tobytes())
            remembered = torch.load(content, weights_only=True)["rewards"]
        for reward, state in zip(self._rewards, remembered, strict=True):
            reward.load_state(state)
        self.reset()
        if not same_agent_state:
            return
        self._state = told["state"].to(self.device)
        if "latent" in told:
            here = {name: tensor.to(self.device) for name, tensor in told.items()}
            expected = {name: here.get(f"expected_{name}") for name in Prediction._fields}
            self._expected = PendingPrediction(
                here["latent"],
                told["last_action"],
                dict(zip(self._info_keys, told["truth"].tolist(), strict=True)),
                Prediction(**expected),  # type: ignore[arg-type]
                here["states"],
            )

    @torch.inference_mode()
    def act(self, frame: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Encode a frame (3, H, W) and choose an action (A,)."""
        self._frame = torch.from_numpy(frame)[None].to(self.device)
        self._latent = self.modules.encoder.active(self._frame)
        judged = self.modules.policy.active(self._latent, self._state)
        logits = torch.zeros_like(judged.logits) if self._random_policy else judged.logits
        actions = ActionDistribution(logits.cpu(), self._choices)
        self._action = actions.sample(self._generator)
        self._log_prob = float(actions.log_prob(self._action))
        self._value = float(judged.value)
        chosen: NDArray[np.int64] = self._action[0].numpy()
        return chosen

    @torch.inference_mode()
    def finish_step(self, info: NDArray[np.float32], sees: bool) -> Mapping[str, ArrayLike]:
        """Reward the transition that ended with this frame, predict the next; return their row.

        Args:
            truth: the world's ground truth (K,), which goes into the row and to controls.
            sees: whether this frame is of the world; what is shown to the blind is no experience,
                from which a reward could learn or remember something.
        """
        reward, *logged_rewards = self._reward() if sees else self._no_reward()
        row = {
            "frame": self._frame[0].cpu().numpy(),
            "latent": self._latent[0].cpu().numpy(),
            "state": self._state[0].cpu().numpy(),
            "action": self._action[0].numpy(),
            "log_prob": self._log_prob,
            "value": self._value,
            "reward": reward,
            "is_first": self._expected is None,
            "versions": self.modules.versions(),
            "info": np.concatenate([info, np.array(logged_rewards, np.float32)]),
        }
        latents, states = self._in_flight()
        for module in self.modules:
            module.release_previous()
        action = self._action.to(self.device)
        prediction, states = self.modules.dynamics.active.step(
            latents, action.expand(len(latents), -1), states
        )
        self._state = states[:1]
        info_keys = dict(zip(self._info_keys, info.tolist(), strict=True))
        self._expected = PendingPrediction(
            self._latent, self._action, info_keys, prediction, states
        )
        return row

    def _in_flight(self) -> tuple[Tensor, Tensor]:
        """Return latents and states of all imaginations: the newest is of what is really seen.

        The others take for seen what they expected. Those begun with other eyes are given up: what
        they expect is not in terms of these.
        """
        expected = self._expected
        if self._horizon == 1 or expected is None or self.modules.encoder.just_swapped:
            return self._latent, self._state
        kept = self._horizon - 1
        return (
            torch.cat([self._latent, expected.prediction.mean[:kept]]),
            torch.cat([self._state, expected.states[:kept]]),
        )

    def _no_reward(self) -> list[float]:
        return [0.0, *(math.nan for _ in self._rewards[1:])]

    def _reward(self) -> list[float]:
        """Return the reward of the transition into this frame and those beside.

        Of a first frame the one is 0 and the others are unknown.
        """
        if self._expected is None:
            return self._no_reward()
        latent, encoder = self._latent, self.modules.encoder
        if encoder.just_swapped:
            # Seen with the eyes that made the prediction, so that a swap is no surprise.
            latent = encoder.standby(self._frame)
        novelty = self.modules.dynamics.active.novelty
        inputs = RewardInputs(
            latent[0],
            self._expected.latent[0],
            self._expected.prediction,
            self._expected.action[0],
            self._expected.info,
            None if novelty is None else novelty(latent)[0],
        )
        return [reward.reward(inputs) for reward in self._rewards]

    def poll_weights(self, max_bytes: int | None) -> bool:
        """Use the slack: copy newer weights, and exchange what is complete for the next tick.

        Args:
            max_bytes: how much to copy now at most, of all modules; None for all at once.

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
