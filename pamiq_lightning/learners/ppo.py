"""PPO: learns to act for the curiosity reward, one new window at a time.

Source: Schulman et al. 2017 (arXiv:1707.06347); GAE of Schulman et al. 2016 (arXiv:1506.02438);
the scaling of rewards by the running std of their discounted return is RND's (arXiv:1810.12894).
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from tensordict import TensorDict
from torch import Tensor, nn
from torchrl.modules import PopArtValueNorm
from torchrl.objectives.value.functional import vec_generalized_advantage_estimate

from pamiq_lightning.learners.base import Learner, ReplaySpec, mean_square
from pamiq_lightning.nets.actor_critic import ActorCritic, ActorCriticOutput
from pamiq_lightning.step import ACTING_ROLES, is_transition, is_transition_into

OUTLIER_SCALES = 10.0
"""A reward further from the usual one than this many scales counts as this far."""
LARGEST_LOG_RATIO = math.log(2)
"""Steps whose action is now more than twice, or less than half, as likely are left out."""
SMALLEST_SPREAD = 1e-5
"""A return that varies by less than this share of its size counts as varying by so much."""
SMALLEST_RETURN = 1e-12
"""A return that varies by less than this counts as 0."""
_POLICY = ACTING_ROLES.index("policy")


class PPOPolicy(nn.Module):
    """What acts: the actor-critic, and the normaliser that its value is in terms of."""

    def __init__(self, net: ActorCritic, value_norm: PopArtValueNorm) -> None:
        super().__init__()
        self.net, self.value_norm = net, value_norm

    def forward(
        self, latent: Float[Tensor, "B P D"], state: Float[Tensor, "B L N"]
    ) -> ActorCriticOutput:
        """Judge every situation; the value is of the scaled, not normalised, return."""
        judged = self.net(latent, state)
        return ActorCriticOutput(judged.logits, self.value_norm.denormalize(judged.value).float())


class PPO(Learner):
    """The policy, on (latent, dynamics' state before that latent).

    Args:
        latent: tokens and features [P, D] of the latents.
        state: blocks and width [depth, dim] of the dynamics' state.
        action_choices: choices of each action category.
        dim: width of the trunk.
        depth: residual layers of the trunk.
        mix_features: size the latent is squeezed to.
        lr: learning rate of Adam.
        gamma: discount of one step.
        gae_lambda: lambda of the generalised advantage estimate.
        clip: how far the probability ratio may leave 1.
        entropy_coef: weight of the entropy bonus.
        value_coef: weight of the value loss.
        target_kl: a round ends when the approximate KL divergence exceeds this.
        scale_decay: how much of the running reward and return scales one window keeps.
        max_version_lag: steps made by a policy older than this many versions are dropped.
        batch_size: steps of one minibatch.
        epochs: passes over each window.
        gradient_clip: largest norm of the gradient.
    """

    required_keys: ClassVar[tuple[str, ...]] = (
        "index",
        "latent",
        "state",
        "action",
        "log_prob",
        "reward",
        "is_first",
        "valid",
        "versions",
    )
    running_return: Tensor

    def __init__(
        self,
        latent: tuple[int, int],
        state: tuple[int, int],
        action_choices: tuple[int, ...] = (3, 3, 3, 2, 2),
        dim: int = 256,
        depth: int = 2,
        mix_features: int = 64,
        lr: float = 3e-4,
        gamma: float = 0.99,
        gae_lambda: float = 0.95,
        clip: float = 0.2,
        entropy_coef: float = 0.01,
        value_coef: float = 0.5,
        target_kl: float = 0.03,
        scale_decay: float = 0.98,
        max_version_lag: int = 2,
        batch_size: int = 32,
        epochs: int = 3,
        gradient_clip: float = 0.5,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.require_positive("dim", "depth", "mix_features", "batch_size", "epochs", "lr")
        self.lr, self.gamma, self.gae_lambda, self.clip = lr, gamma, gae_lambda, clip
        self.entropy_coef, self.value_coef, self.target_kl = entropy_coef, value_coef, target_kl
        self.max_version_lag, self.gradient_clip = max_version_lag, gradient_clip
        self._shared_shapes = {
            "latent": (latent[0], latent[1]),
            "state": (state[0], state[1]),
            "action_choices": tuple(action_choices),
        }
        self._replay_spec = ReplaySpec("on_policy", 0, batch_size, epochs)
        self.net = ActorCritic(
            (latent[0], latent[1]),
            (state[0], state[1]),
            tuple(action_choices),
            dim,
            depth,
            mix_features,
        )
        # In double: they subtract the square of a mean from a mean of squares, and returns of a
        # reward that is never 0 have a mean far above their spread.
        self.value_norm = PopArtValueNorm(shape=1, beta=scale_decay).double()
        # Rewards may be of any size, so its bound is left to `reward_scale`.
        self.reward_norm = PopArtValueNorm(shape=1, beta=scale_decay, epsilon=1e-30).double()
        self.register_buffer("running_return", torch.zeros((), dtype=torch.float64))
        self._satisfied = False

    @property
    def acting_module(self) -> PPOPolicy:
        """Latent and state -> logits and value."""
        return PPOPolicy(self.net, self.value_norm)

    @property
    def replay(self) -> ReplaySpec:
        """Every new window once."""
        return self._replay_spec

    @property
    def should_stop_round(self) -> bool:
        """Whether the policy has moved far enough from the one that acted in this window."""
        return self._satisfied

    @property
    def reward_scale(self) -> Tensor:
        """What raw rewards are divided by: the running std of their discounted return.

        The bound below, for a reward that never changes, is in terms of the return itself. Before
        any reward but 0 was seen it is 1.
        """
        if not self.reward_norm.debiasing_term > 0:
            return torch.ones((), device=self.device)
        scale = torch.maximum(self.reward_norm.scale(), self._smallest_scale)
        return scale.squeeze().float()

    @property
    def _smallest_scale(self) -> Tensor:
        """What the scale is where the return does not vary."""
        size = (self.reward_norm.running_mean_sq / self.reward_norm.debiasing_term).sqrt()
        smallest: Tensor = (SMALLEST_SPREAD * size).clamp(min=SMALLEST_RETURN)
        return smallest

    def shared_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return what it takes."""
        return dict(self._shared_shapes)

    @torch.no_grad()
    def on_rollout(self, steps: TensorDict) -> None:
        """Update the reward's running scale, once per window.

        The discounted return goes on over gaps, as RND's does; it begins at its expected value, for
        a ramp from 0 would be all that the scale sees for hours. A reward that says nothing at
        first, 0 for every step, has no scale yet; and one that never varied has no outliers.
        """
        rewards = steps["reward"][is_transition_into(steps)].double()
        if not len(rewards):
            return
        begun = bool(self.reward_norm.debiasing_term > 0)
        clipped = 0
        if not begun and not rewards.any():
            self.log_later({"reward_raw": 0.0, "reward_scale": 1.0, "reward_outliers": 0.0})
            return
        if begun and bool(self.reward_norm.scale() > self._smallest_scale):
            middle = float(self.running_return) * (1 - self.gamma)
            bound = OUTLIER_SCALES * float(self.reward_scale)
            kept = rewards.clamp(middle - bound, middle + bound)
            clipped, rewards = int((kept != rewards).sum()), kept
        if not begun:
            self.running_return.fill_(float(rewards.mean()) / (1 - self.gamma + 1e-8))
        returns, carry = [], float(self.running_return)
        for reward in rewards.tolist():
            carry = self.gamma * carry + reward
            returns.append(carry)
        self.running_return.fill_(carry)
        values = torch.tensor(returns, dtype=torch.float64, device=self.device)
        self.reward_norm.update(values[:, None])
        self.log_later(
            {
                "reward_raw": rewards.mean(),
                "reward_scale": self.reward_scale,
                "reward_outliers": float(clipped),
            }
        )

    @torch.no_grad()
    def prepare(self, rollout: TensorDict) -> TensorDict:
        """Turn N+1 rows into the N transitions that start at the first, with their advantages.

        A transition into an `is_first`, into or out of an invalid row, or across a gap is left out
        and ends the trace. Steps of a policy too old, or too unlike the present one, are left out
        too, but lend their rewards to the trace. The values of all rows are computed anew with the
        present weights.
        """
        self._satisfied = False
        rollout = rollout.to(self.device)
        judged = self.net(rollout["latent"], rollout["state"])
        value = self.bootstrap_values(rollout, self.value_norm.denormalize(judged.value).float())
        valid = is_transition(rollout)
        advantage = self.advantages(value, rollout["reward"] / self.reward_scale, valid)
        target = advantage + value[:-1]
        fresh = self.latest_version - rollout["versions"][:-1, _POLICY] <= self.max_version_lag
        near = self._near(judged.logits, rollout)[:-1]
        kept = valid & fresh & near
        if kept.any():
            self.value_norm.update(target[kept].double()[:, None])
        rows = rollout[:-1][kept].select("latent", "state", "action", "log_prob")
        rows["advantage"] = advantage[kept]
        rows["value_target"] = self.value_norm.normalize(target[kept]).float()
        self._log_rollout(value[:-1][kept], target[kept])
        self.log_later(
            {
                "stale_steps": float((valid & ~fresh).sum()),
                "diverged_steps": float((valid & fresh & ~near).sum()),
            }
        )
        return rows

    def bootstrap_values(
        self, rollout: TensorDict, value: Float[Tensor, " M"]
    ) -> Float[Tensor, " M"]:
        """Return what each row still promises: its value, for a life has no end.

        For subclasses in worlds whose episodes end: a row after which nothing comes promises 0.
        """
        return value

    def _near(self, logits: Float[Tensor, "M C"], rollout: TensorDict) -> Bool[Tensor, " M"]:
        """Tell which actions are about as likely now as when they were taken.

        In a recording the weights that acted are unknown; beyond this the ratio says nothing.
        """
        now = self.net.distribution(logits.float()).log_prob(rollout["action"])
        near: Tensor = (now - rollout["log_prob"]).abs() <= LARGEST_LOG_RATIO
        return near

    def advantages(
        self,
        value: Float[Tensor, " M"],
        reward: Float[Tensor, " M"],
        valid: Bool[Tensor, " M-1"],
    ) -> Float[Tensor, " M-1"]:
        """Return the GAE of each transition t -> t+1, whose reward is reward[t+1].

        An unsound transition gets advantage 0 and passes nothing back, so that the step before it
        bootstraps from the value of the row it reached.
        """
        gained = torch.where(valid, reward[1:], value[:-1])
        if self.gamma * self.gae_lambda == 0:
            # TorchRL's cannot do this one; the advantage is then the one-step error.
            return gained + self.gamma * value[1:] * valid - value[:-1]
        advantage, _ = vec_generalized_advantage_estimate(
            self.gamma,
            self.gae_lambda,
            value[:-1, None],
            value[1:, None],
            gained[:, None],
            done=~valid[:, None],
            terminated=~valid[:, None],
        )
        result: Tensor = advantage.squeeze(-1)
        return result

    def _log_rollout(self, value: Tensor, target: Tensor) -> None:
        if len(value) > 1:
            unexplained = (target - value).var() / target.var().clamp(min=1e-8)
            self.log_later({"explained_variance": 1 - unexplained})

    def training_step(self, batch: TensorDict, batch_idx: int) -> Tensor:
        """Clipped surrogate on the joint probability, value loss, entropy bonus."""
        judged = self.net(batch["latent"], batch["state"])
        actions = self.net.distribution(judged.logits.float())
        log_ratio = actions.log_prob(batch["action"]) - batch["log_prob"]
        ratio = log_ratio.exp()
        advantage = batch["advantage"]
        if len(advantage) > 1:
            advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
        clipped = ratio.clamp(1 - self.clip, 1 + self.clip)
        policy_loss = -torch.min(ratio * advantage, clipped * advantage).mean()
        value_loss = 0.5 * mean_square(judged.value.float() - batch["value_target"])
        entropies = actions.entropies().mean(dim=0)
        loss: Tensor = (
            policy_loss + self.value_coef * value_loss - self.entropy_coef * entropies.sum()
        )
        kl = (ratio - 1 - log_ratio).detach().mean()
        self._satisfied = bool(kl > self.target_kl)
        self.log_dict(
            {
                "loss": loss,
                "policy_loss": policy_loss,
                "value_loss": value_loss,
                "entropy": entropies.sum(),
                "approx_kl": kl,
                "clip_fraction": ((ratio - 1).abs() > self.clip).float().mean(),
                **{f"entropy_{i}": entropy for i, entropy in enumerate(entropies)},
            }
        )
        return loss

    @torch.no_grad()
    def validation_step(self, batch: TensorDict, batch_idx: int) -> None:
        """Log how well values foretell, and how the policy now differs from the one that acted.

        Of an unbroken stretch [N] never trained on; rewards in the scale that was learned.
        """
        if len(batch) < 3:
            return
        judged = self.net(batch["latent"], batch["state"])
        value = self.value_norm.denormalize(judged.value).float()
        valid = is_transition(batch)
        target = self.advantages(value, batch["reward"] / self.reward_scale, valid) + value[:-1]
        actions = self.net.distribution(judged.logits.float())
        log_ratio = actions.log_prob(batch["action"]) - batch["log_prob"]
        unexplained = (target - value[:-1])[valid].var() / target[valid].var().clamp(min=1e-8)
        metrics = {
            "explained_variance": 1 - unexplained,
            "entropy": actions.entropies().sum(dim=-1).mean(),
            "approx_kl": (log_ratio.exp() - 1 - log_ratio).mean(),
        }
        self.log_dict(metrics, on_epoch=True, batch_size=len(batch))

    @torch.no_grad()
    def predict_step(self, batch: TensorDict, batch_idx: int) -> dict[str, Tensor]:
        """Return logits (N, sum of choices) and values (N,) of a window [N]."""
        judged = self.acting_module(batch["latent"], batch["state"])
        return {"logits": judged.logits.float(), "value": judged.value}

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam with eps 1e-5."""
        return torch.optim.Adam(self.net.parameters(), lr=self.lr, eps=1e-5)
