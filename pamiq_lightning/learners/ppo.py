"""PPO on the curiosity reward, one new rollout at a time. The loss is `PPO.training_step`.

Source: Schulman et al. 2017 (arXiv:1707.06347); GAE of Schulman et al. 2016 (arXiv:1506.02438);
the scaling of rewards by the running std of their discounted return is RND's (arXiv:1810.12894).

Letters: B batch, M = N + 1 rows of a rollout, N transitions, P tokens, D features of a latent,
L layers and S width of the dynamics' state, A action categories, C the sum of their choices.
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from tensordict import TensorDict
from torch import Tensor, nn
from torchrl.modules import PopArtValueNorm
from torchrl.objectives.value.functional import vec_generalized_advantage_estimate

from pamiq_lightning.learners.base import Learner, ReplaySpec, mean_square
from pamiq_lightning.nets.actor_critic import ActorCritic, ActorCriticOutput
from pamiq_lightning.shapes import ACTION_CHOICES
from pamiq_lightning.step import ACTING_ROLES, is_transition, is_transition_into

OUTLIER_SCALES = 10.0
"""Rewards are clipped to this many scales around their mean."""
LARGEST_LOG_RATIO = math.log(2)
"""Steps whose action is now more than twice, or less than half, as likely are dropped."""
SMALLEST_SPREAD = 1e-5
"""Smallest standard deviation of the return, as a share of its root mean square."""
SMALLEST_RETURN = 1e-12
"""Smallest standard deviation of the return."""
_NET_INPUTS = ("latent", "state", "last_action")
_POLICY = ACTING_ROLES.index("policy")


class PPOPolicy(nn.Module):
    """The acting module: the actor-critic and the normaliser of its value."""

    def __init__(self, net: ActorCritic, value_norm: PopArtValueNorm) -> None:
        super().__init__()
        self.net, self.value_norm = net, value_norm

    def forward(
        self,
        latent: Float[Tensor, "B P D"],
        state: Float[Tensor, "B L S"],
        last_action: Int[Tensor, "B A"],
    ) -> ActorCriticOutput:
        """Return logits (B, C) and values (B,) of the scaled, not normalised, return."""
        output = self.net(latent, state, last_action)
        return ActorCriticOutput(output.logits, self.value_norm.denormalize(output.value).float())


def _explained(value: Float[Tensor, " N"], target: Float[Tensor, " N"]) -> Tensor:
    """Return the share of the targets' variance that the values explain."""
    return 1 - (target - value).var() / target.var().clamp(min=1e-8)


class PPO(Learner):
    """PPO on (latent, dynamics' state before that latent, last action); role policy.

    Args:
        latent: tokens and features [P, D] of the latents.
        state: blocks and width [depth, dim] of the dynamics' state.
        action_choices: choices of each action category.
        dim: width of the trunk.
        depth: residual layers of the trunk.
        mix_features: size the latent is squeezed to.
        keep_probability: with which the untrained policy keeps each category's last choice.
        lr: learning rate of Adam.
        gamma: discount of one step.
        gae_lambda: lambda of the generalised advantage estimate.
        clip: how far the probability ratio may leave 1.
        entropy_coef: weight of the entropy bonus, which pulls towards uniform actions.
        prior_coef: weight of the KL divergence from the untrained policy, which pulls towards
            keeping the last action.
        value_coef: weight of the value loss.
        target_kl: a round ends when the approximate KL divergence exceeds this.
        scale_decay: decay of the running reward and return scales, per rollout.
        max_version_lag: steps whose policy is more versions behind than this are dropped.
        batch_size: steps of one minibatch.
        epochs: passes over each rollout.
        gradient_clip: largest norm of the gradient.
    """

    required_keys: ClassVar[tuple[str, ...]] = (
        "index",
        "latent",
        "state",
        "action",
        "last_action",
        "log_prob",
        "reward",
        "is_first",
        "valid",
        "versions",
    )
    running_return: Tensor
    """Discounted sum of all rewards so far."""

    def __init__(
        self,
        latent: tuple[int, int],
        state: tuple[int, int],
        action_choices: tuple[int, ...] = ACTION_CHOICES,
        dim: int = 256,
        depth: int = 2,
        mix_features: int = 256,
        keep_probability: float = 0.9,
        lr: float = 3e-4,
        gamma: float = 0.99,
        gae_lambda: float = 0.95,
        clip: float = 0.2,
        entropy_coef: float = 0.0,
        prior_coef: float = 0.01,
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
        self.require_positive("dim depth mix_features batch_size epochs lr")
        self.lr, self.gamma, self.gae_lambda, self.clip = lr, gamma, gae_lambda, clip
        self.entropy_coef, self.prior_coef = entropy_coef, prior_coef
        self.value_coef, self.target_kl = value_coef, target_kl
        self.max_version_lag, self.gradient_clip = max_version_lag, gradient_clip
        self.shared_shapes = {"latent": latent, "state": state, "action_choices": action_choices}
        self.replay = ReplaySpec("on_policy", 0, batch_size, epochs)
        self.net = ActorCritic(
            latent, state, action_choices, dim, depth, mix_features, keep_probability
        )
        # In double: a variance from the mean of squares cancels where the mean is far above it.
        self.value_norm = PopArtValueNorm(shape=1, beta=scale_decay).double()
        # Rewards may have any size: `reward_scale` bounds the scale, not this epsilon.
        self.reward_norm = PopArtValueNorm(shape=1, beta=scale_decay, epsilon=1e-30).double()
        self.register_buffer("running_return", torch.zeros((), dtype=torch.float64))

    @property
    def acting_module(self) -> PPOPolicy:
        """Latent and state -> logits and value."""
        return PPOPolicy(self.net, self.value_norm)

    def act(
        self,
        latent: Float[Tensor, "B P D"],
        state: Float[Tensor, "B L S"],
        last_action: Int[Tensor, "B A"],
    ) -> ActorCriticOutput:
        """Return logits (B, C) and values (B,)."""
        output: ActorCriticOutput = self.acting_module(latent, state, last_action)
        return output

    @property
    def reward_scale(self) -> Tensor:
        """Divisor of raw rewards: the running std of their discounted return.

        It is 1 until a reward other than 0 was seen, and bounded below for constant rewards.
        """
        if not self.reward_norm.debiasing_term > 0:
            return torch.ones((), device=self.device)
        scale = torch.maximum(self.reward_norm.scale(), self._smallest_scale)
        return scale.squeeze().float()

    @property
    def _smallest_scale(self) -> Tensor:
        """The scale where the return does not vary."""
        rms = (self.reward_norm.running_mean_sq / self.reward_norm.debiasing_term).sqrt()
        smallest: Tensor = (SMALLEST_SPREAD * rms).clamp(min=SMALLEST_RETURN)
        return smallest

    @torch.no_grad()
    def on_rollout(self, steps: TensorDict) -> None:
        """Update the running scales of inputs and reward, once per rollout.

        The discounted return carries over gaps, as RND's does. It starts at its expected value:
        a ramp from 0 would dominate the scale for hours. Rewards that are all 0 at first give no
        scale yet. Rewards are clipped once their return has varied.
        """
        steps = steps.to(self.device)
        self.net.observe(steps["latent"][steps["valid"]], steps["state"][steps["valid"]])
        rewards = steps["reward"][is_transition_into(steps)].double()
        if not len(rewards):
            return
        has_scale = bool(self.reward_norm.debiasing_term > 0)
        outliers = 0
        if not has_scale and not rewards.any():
            self.log_later({"reward_raw": 0.0, "reward_scale": 1.0, "reward_outliers": 0.0})
            return
        if has_scale and bool(self.reward_norm.scale() > self._smallest_scale):
            mean = float(self.running_return) * (1 - self.gamma)
            bound = OUTLIER_SCALES * float(self.reward_scale)
            clipped = rewards.clamp(mean - bound, mean + bound)
            outliers, rewards = int((clipped != rewards).sum()), clipped
        if not has_scale:
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
                "reward_outliers": float(outliers),
            }
        )

    @torch.no_grad()
    def prepare(self, rollout: TensorDict) -> TensorDict:
        """Turn M = N + 1 rows into at most N transitions with `advantage` and `value_target`.

        A transition into an `is_first`, into or out of an invalid row, or across a gap is dropped
        and ends the trajectory. Steps of a policy too old, or too unlike the present one, are
        dropped too; their rewards still count in the advantages of earlier steps. The values of all
        rows are recomputed with the present weights.
        """
        self.should_stop_round = False
        rollout = rollout.to(self.device)
        output = self.net(*(rollout[key] for key in _NET_INPUTS))
        value = self.bootstrap_values(rollout, self.value_norm.denormalize(output.value).float())
        valid = is_transition(rollout)
        advantage = self.advantages(value, rollout["reward"] / self.reward_scale, valid)
        target = advantage + value[:-1]
        recent = self.latest_version - rollout["versions"][:-1, _POLICY] <= self.max_version_lag
        near = self._is_near(output.logits, rollout)[:-1]
        usable = valid & recent & near
        if usable.any():
            self.value_norm.update(target[usable].double()[:, None])
        rows = rollout[:-1][usable].select(*_NET_INPUTS, "action", "log_prob")
        rows["advantage"] = advantage[usable]
        rows["value_target"] = self.value_norm.normalize(target[usable]).float()
        if len(rows) > 1:
            self.log_later({"explained_variance": _explained(value[:-1][usable], target[usable])})
        self.log_later(
            {
                "stale_steps": float((valid & ~recent).sum()),
                "diverged_steps": float((valid & recent & ~near).sum()),
            }
        )
        return rows

    def bootstrap_values(
        self, rollout: TensorDict, value: Float[Tensor, " M"]
    ) -> Float[Tensor, " M"]:
        """Return the value to bootstrap each row from: its own, for a run has no end.

        Subclasses for worlds with episodes return 0 for a terminal row.
        """
        return value

    def _is_near(self, logits: Float[Tensor, "M C"], rollout: TensorDict) -> Bool[Tensor, " M"]:
        """Return which actions are about as likely now as when they were taken.

        In a recording unknown weights acted; a larger ratio carries no information.
        """
        now = self.net.distribution(logits.float()).log_prob(rollout["action"])
        near: Tensor = (now - rollout["log_prob"]).abs() <= LARGEST_LOG_RATIO
        return near

    def advantages(
        self, value: Float[Tensor, " M"], reward: Float[Tensor, " M"], valid: Bool[Tensor, " M-1"]
    ) -> Float[Tensor, " M-1"]:
        """Return the GAE of each transition t -> t+1, whose reward is reward[t+1].

        An invalid transition gets advantage 0 and passes nothing back: the step before it
        bootstraps from the value of the row it reached.
        """
        gained = torch.where(valid, reward[1:], value[:-1])
        if self.gamma * self.gae_lambda == 0:
            # TorchRL's function refuses this case; the advantage is the one-step error.
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

    def training_step(self, batch: TensorDict, batch_idx: int) -> Tensor:
        """Return PPO's loss of a minibatch of transitions (B,) as `prepare` makes them.

        loss = -min(ratio * advantage, clip(ratio) * advantage) + value_coef * value loss
               - entropy_coef * entropy + prior_coef * KL(policy || untrained policy)

        The ratio is of the joint probability over the action categories.
        """
        output = self.net(*(batch[key] for key in _NET_INPUTS))
        actions = self.net.distribution(output.logits.float())
        log_ratio = actions.log_prob(batch["action"]) - batch["log_prob"]
        ratio = log_ratio.exp()
        advantage = batch["advantage"]
        if len(advantage) > 1:
            advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
        clipped = ratio.clamp(1 - self.clip, 1 + self.clip)
        policy_loss = -torch.min(ratio * advantage, clipped * advantage).mean()
        value_loss = 0.5 * mean_square(output.value.float() - batch["value_target"])
        entropies = actions.entropies().mean(dim=0)
        untrained = self.net.distribution(self.net.prior.at_start(batch["last_action"]))
        prior_kl = actions.divergences(untrained).sum(dim=-1).mean()
        loss: Tensor = (
            policy_loss
            + self.value_coef * value_loss
            - self.entropy_coef * entropies.sum()
            + self.prior_coef * prior_kl
        )
        kl = (ratio - 1 - log_ratio).detach().mean()
        self.should_stop_round = bool(kl > self.target_kl)
        self.log_dict(
            {
                "loss": loss,
                "policy_loss": policy_loss,
                "value_loss": value_loss,
                "entropy": entropies.sum(),
                "prior_kl": prior_kl,
                "approx_kl": kl,
                "clip_fraction": ((ratio - 1).abs() > self.clip).float().mean(),
                **{f"entropy_{i}": entropy for i, entropy in enumerate(entropies)},
            }
        )
        return loss

    @torch.no_grad()
    def validation_step(self, batch: TensorDict, batch_idx: int) -> None:
        """Log the explained variance, and how far the policy is from the one that acted.

        On steps [N] never trained on, with the learned scale of rewards.
        """
        if len(batch) < 3:
            return
        output = self.act(*(batch[key] for key in _NET_INPUTS))
        value, valid = output.value, is_transition(batch)
        target = self.advantages(value, batch["reward"] / self.reward_scale, valid) + value[:-1]
        actions = self.net.distribution(output.logits.float())
        log_ratio = actions.log_prob(batch["action"]) - batch["log_prob"]
        metrics = {
            "explained_variance": _explained(value[:-1][valid], target[valid]),
            "entropy": actions.entropies().sum(dim=-1).mean(),
            "approx_kl": (log_ratio.exp() - 1 - log_ratio).mean(),
        }
        self.log_dict(metrics, on_epoch=True, batch_size=len(batch))

    @torch.no_grad()
    def predict_step(self, batch: TensorDict, batch_idx: int) -> dict[str, Tensor]:
        """Return logits (N, C) and values (N,) of a rollout [N]."""
        output = self.act(*(batch[key] for key in _NET_INPUTS))
        return {"logits": output.logits.float(), "value": output.value}

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam with eps 1e-5."""
        return torch.optim.Adam(self.net.parameters(), lr=self.lr, eps=1e-5)
