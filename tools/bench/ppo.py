"""What an update of PPO costs, beside TorchRL's loss computing the same numbers.

`tools.bench.learners` prints it with the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from tensordict import TensorDict
from tensordict.nn import (
    ProbabilisticTensorDictModule,
    ProbabilisticTensorDictSequential,
    TensorDictModule,
)
from torch import Tensor, nn
from torchrl.objectives import ClipPPOLoss

from pamiq_lightning.learners.ppo import PPO
from pamiq_lightning.nets.actor_critic import ActionDistribution, ActorCritic
from pamiq_lightning.trainer.update import Updater
from tools.bench.limits import Measurement, at_most
from tools.bench.timing import compare


class _Joint(torch.distributions.Distribution):
    """Our distribution with the interface that TorchRL expects."""

    def __init__(self, logits: Tensor, choices: tuple[int, ...]) -> None:
        super().__init__(logits.shape[:-1], torch.Size([len(choices)]), validate_args=False)
        self._actions = ActionDistribution(logits, choices)

    def log_prob(self, value: Tensor) -> Tensor:
        return self._actions.log_prob(value)

    def entropy(self) -> Tensor:
        return self._actions.entropies().sum(dim=-1)


class _Features(nn.Module):
    """The input of both heads of the actor-critic."""

    def __init__(self, net: ActorCritic) -> None:
        super().__init__()
        self.net = net

    def forward(self, latent: Tensor, state: Tensor, last_action: Tensor) -> Tensor:
        features: Tensor = self.net.features(latent, state, last_action)
        return features


class _Logits(nn.Module):
    """The policy head and the keep prior."""

    def __init__(self, net: ActorCritic) -> None:
        super().__init__()
        self.actor, self.prior = net.actor, net.prior

    def forward(self, features: Tensor, last_action: Tensor) -> Tensor:
        logits: Tensor = self.actor(features) + self.prior(last_action)
        return logits


def clip_ppo_loss(learner: PPO) -> ClipPPOLoss:
    """Return TorchRL's loss on this learner's own net, which it runs once.

    The sum of its `loss_` entries is the learner's loss where `prior_coef` is 0. It takes the
    learner's batches with the last dimension that TorchRL expects: `advantage` and `value_target`
    are [B, 1].
    """
    net = learner.net
    actor = ProbabilisticTensorDictSequential(
        TensorDictModule(_Features(net), ["latent", "state", "last_action"], ["features"]),
        TensorDictModule(_Logits(net), ["features", "last_action"], ["logits"]),
        ProbabilisticTensorDictModule(
            ["logits"], ["action"], distribution_class=_Joint,
            distribution_kwargs={"choices": net.choices}, return_log_prob=True,
        ),
    )  # fmt: skip
    loss = ClipPPOLoss(
        actor,
        TensorDictModule(net.critic, ["features"], ["state_value"]),
        clip_epsilon=learner.clip,
        entropy_coeff=learner.entropy_coef,
        # Ours is half the mean square.
        critic_coeff=learner.value_coef / 2,
        loss_critic_type="l2",
        normalize_advantage=True,
        functional=False,
    )
    loss.set_keys(sample_log_prob="log_prob")
    return loss


def columns(batch: TensorDict) -> TensorDict:
    """Return a learner's batch as `clip_ppo_loss` takes it."""
    batch = batch.copy()
    for key in ("advantage", "value_target"):
        batch[key] = batch[key][:, None]
    return batch


def random_batch(learner: PPO, rows: int) -> TensorDict:
    """Return a synthetic minibatch, some of its ratios beyond the clip."""
    sizes = learner.shared_shapes
    latent, state = torch.randn(rows, *sizes["latent"]), torch.randn(rows, *sizes["state"])
    choices = sizes["action_choices"]
    last_action = torch.stack([torch.randint(n, (rows,)) for n in choices], dim=-1)
    with torch.no_grad():
        actions = learner.net.distribution(learner.net(latent, state, last_action).logits)
        action = actions.sample()
        log_prob = actions.log_prob(action) + 0.3 * torch.randn(rows)
    return TensorDict(
        {
            "latent": latent,
            "state": state,
            "action": action,
            "last_action": last_action,
            "log_prob": log_prob,
            "advantage": 3 + 5 * torch.randn(rows),
            "value_target": torch.randn(rows),
        },
        [rows],
    )


def by_hand(learner: PPO, batch: TensorDict) -> Callable[[], None]:
    """Return a job: one update in plain torch with TorchRL's loss."""
    loss_of, optimizer = clip_ppo_loss(learner), learner.configure_optimizers()
    batch = columns(batch)

    def job() -> None:
        losses = loss_of(batch)
        loss = losses["loss_objective"] + losses["loss_critic"] + losses["loss_entropy"]
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(learner.net.parameters(), learner.gradient_clip or 0.0)
        optimizer.step()

    return job


def ppo() -> Iterator[Measurement]:
    """Yield our update, as the trainer makes it, against theirs."""
    ours, theirs = (PPO((36, 32), (3, 256), prior_coef=0.0) for _ in range(2))
    batch = random_batch(ours, 32)
    updater = Updater(ours, "cpu", "32-true")
    times = compare(lambda: updater.update(batch), by_hand(theirs, batch), tries=200)
    yield at_most("PPO update, ours / ClipPPOLoss", times[0] / times[1], "x", 1.1)
