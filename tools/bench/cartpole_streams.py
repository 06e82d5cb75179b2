"""Several CartPoles at once as streams of experience, and a PPO for episodes that end.

Its rows follow the schema of `pamiq_lightning.step`; the index of stream k begins at k * STREAM, so
that between two streams there is always a gap. The observation in which an episode ends is a row of
its own: it carries the last reward, its action is not carried out, and the next row is the
`is_first` of the next episode.

Letters: E streams, N rows of a rollout.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import gymnasium
import numpy as np
import torch
from gymnasium.vector import AutoresetMode
from jaxtyping import Float
from numpy.typing import NDArray
from tensordict import TensorDict
from torch import Tensor

from pamiq_lightning.learners.base import Learner, ReplaySpec
from pamiq_lightning.learners.ppo import PPO, PPOPolicy
from pamiq_lightning.nets.actor_critic import ActionDistribution
from pamiq_lightning.nets.forward_dynamics import ForwardDynamics
from pamiq_lightning.replay.on_policy import OnPolicyReplay
from pamiq_lightning.step import ACTING_ROLES, NO_ACTION

STREAM = 1 << 40
CHOICES = (2,)
UNITS = np.array([1.0, 1.0, 0.1, 1.0], np.float32)
"""Of an observation: m, m/s, rad, rad/s. Divided by these its numbers are about 1."""
EVERYTHING, NO_VELOCITIES = (0, 1, 2, 3), (0, 2)
EPISODES = 100


class EpisodicPPO(PPO):
    """PPO for rows that say which of them end an episode."""

    required_keys = (*PPO.required_keys, "terminal")

    def bootstrap_values(
        self, rollout: TensorDict, value: Float[Tensor, " M"]
    ) -> Float[Tensor, " M"]:
        """Return 0 where the pole has fallen; where only time ran out, the value."""
        bootstrap: Tensor = value * ~rollout["terminal"]
        return bootstrap


class StreamsReplay(OnPolicyReplay):
    """Appends each rollout to the last row of its own stream; trains on all new ones at once.

    The learner prepares them as one rollout with gaps, which end its traces.
    """

    def __init__(self, spec: ReplaySpec) -> None:
        super().__init__(spec)
        self._lasts: dict[int, TensorDict] = {}

    def extend(self, steps: TensorDict) -> None:
        """Add a rollout [N] of one stream."""
        stream = int(steps["index"][0]) // STREAM
        self._last = self._lasts.get(stream)
        super().extend(steps)
        self._lasts[stream] = steps[-1:]

    def batches(self, learner: Learner) -> Iterator[TensorDict]:
        """Yield minibatches of the new rollouts of all streams."""
        if self._rollouts:
            self._rollouts = [torch.cat(self._rollouts)]
        yield from super().batches(learner)


class CartPoles:
    """CartPole-v1, several times, played by the modules that act.

    Args:
        streams: number of CartPoles (E).
        observed: indices of the observed numbers.
        state: (depth, dim) of the dynamics' state; zeros without dynamics.
        seed: of the poles and of the actions.

    Attributes:
        steps: rows made so far, in all streams.
        returns: those of the last 100 episodes.
    """

    def __init__(
        self, streams: int, observed: tuple[int, ...], state: tuple[int, int], seed: int
    ) -> None:
        self._poles = gymnasium.make_vec(
            "CartPole-v1",
            num_envs=streams,
            vectorization_mode="sync",
            vector_kwargs={"autoreset_mode": AutoresetMode.NEXT_STEP},
        )
        self._observed, self._generator = list(observed), torch.Generator().manual_seed(seed)
        self._index = torch.arange(streams) * STREAM
        self._state = torch.zeros(streams, *state)
        self._action = torch.full((streams, len(CHOICES)), NO_ACTION)
        self._ended, self._returns = np.ones(streams, np.bool_), np.zeros(streams)
        self.steps, self.returns = 0, deque[float](maxlen=EPISODES)
        observation, _ = self._poles.reset(seed=seed)
        self._arrive(observation, np.zeros(streams), ~self._ended, ~self._ended)

    def rollout(
        self, rows: int, policy: PPOPolicy, dynamics: ForwardDynamics | None, version: int
    ) -> list[TensorDict]:
        """Return the next rollout [N] of each stream."""
        ticks = [self._tick(policy, dynamics) for _ in range(rows)]
        shape = (len(self._ended), rows)
        steps = TensorDict.stack(ticks, dim=1)
        steps["valid"] = torch.ones(shape, dtype=torch.bool)
        steps["versions"] = torch.full((*shape, len(ACTING_ROLES)), version)
        self.steps += steps.numel()
        return list(steps)

    @torch.no_grad()
    def _tick(self, policy: PPOPolicy, dynamics: ForwardDynamics | None) -> TensorDict:
        """Act once in every stream; return the rows [E]."""
        row = self._row
        state = self._state * ~row["is_first"][:, None, None]
        last = torch.where(row["is_first"][:, None], NO_ACTION, self._action)
        actions = ActionDistribution(policy(row["latent"], state, last).logits, CHOICES)
        action = actions.sample(self._generator)
        self._action = action
        row |= {"state": state, "action": action, "last_action": last}
        row["log_prob"] = actions.log_prob(action)
        if dynamics is not None:
            self._state = dynamics.step(row["latent"], action, state)[1]
        self._arrive(*self._poles.step(action[:, 0].numpy())[:4])
        return TensorDict(row, [len(action)])

    def _arrive(
        self,
        observation: NDArray[np.float32],
        reward: NDArray[np.float64],
        fallen: NDArray[np.bool_],
        truncated: NDArray[np.bool_],
    ) -> None:
        """Prepare the next rows as far as they are known before the policy acts."""
        self._row = {
            "index": self._index,
            "latent": torch.from_numpy(observation / UNITS)[:, None, self._observed],
            "reward": torch.from_numpy(reward).float(),
            "is_first": torch.from_numpy(self._ended),
            "terminal": torch.from_numpy(fallen),
        }
        self._index = self._index + 1
        self._returns += reward
        self._ended = fallen | truncated
        self.returns.extend(self._returns[self._ended].tolist())
        self._returns[self._ended] = 0.0
