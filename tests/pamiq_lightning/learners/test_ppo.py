from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from tensordict import TensorDict
from torch import Tensor

from pamiq_lightning.learners.ppo import PPO
from pamiq_lightning.replay.base import training_round
from pamiq_lightning.replay.on_policy import OnPolicyReplay
from pamiq_lightning.trainer.update import Updater
from tests.synthetic import rollout


def ppo(**changes: object) -> PPO:
    settings: dict[str, object] = {
        "latent": (4, 8),
        "state": (2, 16),
        "dim": 32,
        "depth": 1,
        "mix_features": 8,
        "batch_size": 16,
    }
    learner = PPO(**(settings | changes))  # type: ignore[arg-type]
    learner.log = learner.log_dict = lambda *_, **__: None  # type: ignore[method-assign, assignment]
    return learner


def ppo_like(learner: PPO) -> PPO:
    """A learner with the same weights that has had no rollout yet."""
    twin = ppo(gamma=learner.gamma, gae_lambda=learner.gae_lambda)
    twin.net.load_state_dict(learner.net.state_dict())
    return twin


def gae_by_hand(
    value: list[float], reward: list[float], valid: list[bool], gamma: float, lam: float
) -> list[float]:
    """A plain loop: an invalid transition has no advantage and ends the trajectory."""
    advantage, later = [0.0] * len(valid), 0.0
    for t in reversed(range(len(valid))):
        if valid[t]:
            later = reward[t + 1] + gamma * value[t + 1] - value[t] + gamma * lam * later
            advantage[t] = later
        else:
            later = 0.0
    return advantage


def test_advantages_equal_a_plain_loop_over_broken_trajectories() -> None:
    learner = ppo(gamma=0.9, gae_lambda=0.8)
    value, reward = torch.randn(9), torch.randn(9)
    for broken in ([], [3], [0, 7], [2, 3, 4]):
        valid = torch.tensor([t not in broken for t in range(8)])
        expected = gae_by_hand(value.tolist(), reward.tolist(), valid.tolist(), 0.9, 0.8)
        torch.testing.assert_close(
            learner.advantages(value, reward, valid), torch.tensor(expected), atol=1e-5, rtol=1e-5
        )


def test_action_t_is_credited_with_reward_t_plus_1() -> None:
    learner = ppo(gamma=0.0, gae_lambda=0.0)
    reward = torch.tensor([100.0, 1.0, 2.0, 3.0])
    advantage = learner.advantages(torch.zeros(4), reward, torch.ones(3, dtype=torch.bool))
    torch.testing.assert_close(advantage, torch.tensor([1.0, 2.0, 3.0]))


def test_ppo_surrogate_equals_its_formula() -> None:
    learner = ppo(entropy_coef=0.0, value_coef=0.0, prior_coef=0.0)
    batch = TensorDict(
        {
            "latent": torch.randn(16, 4, 8),
            "state": torch.randn(16, 2, 16),
            "action": torch.randint(0, 2, (16, 5)),
            "last_action": torch.randint(0, 2, (16, 5)),
            "log_prob": -4.7 + 0.3 * torch.randn(16),
            "advantage": torch.randn(16),
            "value_target": torch.randn(16),
        },
        [16],
    )
    output = learner.net(batch["latent"], batch["state"], batch["last_action"])
    log_prob = learner.net.distribution(output.logits).log_prob(batch["action"])
    ratio = (log_prob - batch["log_prob"]).exp()
    a = batch["advantage"]
    a = (a - a.mean()) / (a.std() + 1e-8)
    by_hand = -torch.stack([ratio * a, ratio.clamp(0.8, 1.2) * a]).min(0).values.mean()
    torch.testing.assert_close(learner.training_step(batch, 0), by_hand)


class Identity(torch.nn.Module):
    """A normaliser that changes nothing."""

    def update(self, value_target: torch.Tensor) -> None:
        pass

    def normalize(self, value_target: torch.Tensor) -> torch.Tensor:
        return value_target

    def denormalize(self, normalised_value: torch.Tensor) -> torch.Tensor:
        return normalised_value

    def scale(self) -> torch.Tensor:
        return torch.ones(1)


class EndOfDays(PPO):
    """Promises nothing after the row marked as terminal."""

    def bootstrap_values(self, rollout: TensorDict, value: torch.Tensor) -> torch.Tensor:
        return value * ~rollout["terminal"]


def test_subclass_may_end_episodes_by_bootstrap_values() -> None:
    learner = EndOfDays((4, 8), (2, 16), dim=32, depth=1, gamma=0.5, gae_lambda=1.0)
    with torch.no_grad():
        learner.net.critic.bias.fill_(8.0)
        learner.net.critic.weight.zero_()
    learner.value_norm = Identity()  # type: ignore[assignment]
    steps = rollout(5)
    steps["reward"] = torch.ones(5)
    steps["is_first"][3] = True
    steps["terminal"] = torch.tensor([False, False, True, False, False])
    rows = learner.prepare(steps)
    # 0 -> 1 -> 2, the end; 3 -> 4, which goes on.
    torch.testing.assert_close(rows["advantage"], torch.tensor([1.5 - 8, 1.0 - 8, 1 + 4.0 - 8]))


def test_prepare_drops_stale_and_invalid_steps() -> None:
    learner = ppo(max_version_lag=2)
    learner.latest_version = 9
    steps = rollout(11, version=9)
    steps["versions"][:4, 2] = 6
    steps["valid"][8] = False
    rows = learner.prepare(steps)
    # 10 transitions: 0-3 are stale, 7->8 and 8->9 touch the invalid row.
    assert len(rows) == 4


def pending(learner: PPO) -> dict[str, float]:
    """The metrics that the learner logs with its next update."""
    logged: dict[str, float] = {}
    learner.log_dict = logged.update  # type: ignore[method-assign, assignment]
    learner.on_train_batch_start(None, 0)
    return logged


def test_prepare_drops_and_counts_diverged_steps() -> None:
    """An action may at most be twice, or half, as likely as it was when it was taken."""
    learner = ppo(max_version_lag=2)
    learner.latest_version = 9
    steps = rollout(9, version=9)
    output = learner.net(steps["latent"], steps["state"], steps["last_action"])
    now = learner.net.distribution(output.logits).log_prob(steps["action"]).detach()
    log_ratio = torch.tensor([0.0, 0.69, -0.69, 0.70, -0.70, 50.0, -50.0, 0.70, 0.0])
    steps["log_prob"] = now - log_ratio
    steps["versions"][7, 2] = 6
    rows = learner.prepare(steps)
    torch.testing.assert_close(rows["log_prob"], steps["log_prob"][:3])
    metrics = pending(learner)
    # The eighth is stale too, and counted as that alone.
    assert metrics["diverged_steps"] == 4
    assert metrics["stale_steps"] == 1


def test_dropped_steps_still_reward_the_steps_before_them() -> None:
    learner = ppo(gamma=0.9, gae_lambda=0.9)
    steps = rollout(5)
    steps["reward"] = torch.tensor([0.0, 0.0, 0.0, 100.0, 0.0])
    whole = learner.prepare(steps)["advantage"][:2]
    steps["log_prob"][2] = -50.0
    torch.testing.assert_close(ppo_like(learner).prepare(steps)["advantage"][:2], whole)


def scale_after(rewards: Callable[[int], torch.Tensor], rollouts: int, **changes: object) -> PPO:
    learner = ppo(**changes)
    for number in range(rollouts):
        steps = rollout(200, 200 * number)
        steps["reward"] = rewards(number)
        learner.on_rollout(steps)
    return learner


def test_rewards_are_scaled_by_the_std_of_their_return() -> None:
    noise = torch.randn(400, 200)
    learner = scale_after(lambda n: 5 + 1000 * noise[n], 100, gamma=0.5)
    # The variance of sum gamma^k r is var(r) / (1 - gamma^2).
    assert learner.reward_scale.item() == pytest.approx(1000 / (1 - 0.25) ** 0.5, rel=0.05)


@pytest.mark.parametrize("mean, std", [(-3.08, 0.01), (1.0, 0.3)])
def test_reward_scale_is_right_far_from_zero_and_from_the_start(mean: float, std: float) -> None:
    """A reward that hardly varies: neither a ramp from 0 nor float32 may hide its spread."""
    noise = torch.randn(400, 200)
    learner = scale_after(lambda n: mean + std * noise[n], 100)
    expected = std / (1 - 0.99**2) ** 0.5
    assert learner.reward_scale.item() == pytest.approx(expected, rel=0.25)


@pytest.mark.parametrize("unit", [1e-6, 1e3])
def test_advantages_do_not_depend_on_the_unit_of_the_reward(unit: float) -> None:
    noise = torch.randn(20, 200)
    plain = scale_after(lambda n: 0.5 + noise[n], 20)
    other = scale_after(lambda n: unit * (0.5 + noise[n]), 20)
    other.net.load_state_dict(plain.net.state_dict())
    assert other.reward_scale.item() == pytest.approx(unit * plain.reward_scale.item(), rel=1e-4)
    steps = rollout(50, 4000)
    steps["reward"] = torch.randn(50)
    expected = plain.prepare(steps)["advantage"]
    steps["reward"] = unit * steps["reward"]
    torch.testing.assert_close(other.prepare(steps)["advantage"], expected, rtol=1e-3, atol=1e-4)


def test_constant_rewards_stay_bounded() -> None:
    learner = scale_after(lambda _: torch.full((200,), 0.3), 50)
    assert 0.3 / learner.reward_scale.item() < 2000


@pytest.mark.parametrize("first", [0.0, 0.3])
def test_rewards_that_start_as_zeros_are_scaled_by_the_later_ones(first: float) -> None:
    """Rewards that must learn or remember first are constant until then."""
    noise = torch.randn(10, 200)

    def rewards(number: int) -> torch.Tensor:
        return torch.full((200,), first) if number < 3 else 2 + 0.5 * noise[number]

    # The later return varies by 0.5 / (1 - 0.99^2)^0.5 = 3.5; in one rollout, by less.
    assert 1 < scale_after(rewards, 4).reward_scale.item() < 100
    assert 1 < scale_after(rewards, 8).reward_scale.item() < 100


def test_values_follow_the_scale_after_zero_rewards() -> None:
    learner, noise = ppo(), torch.randn(10, 200)
    for number in range(8):
        steps = rollout(200, 200 * number)
        steps["reward"] = torch.zeros(200) if number < 2 else 2 + 0.5 * noise[number]
        learner.on_rollout(steps)
        learner.prepare(steps)
    assert learner.value_norm.scale().item() < 100


@pytest.mark.parametrize("surprise", [1e4, 1e8])
def test_one_outlier_does_not_flatten_the_other_rewards(surprise: float) -> None:
    noise = torch.randn(400, 200)

    def rewards(number: int) -> torch.Tensor:
        values = 1 + 0.3 * noise[number]
        if number == 40:
            values[100] = surprise
        return values

    learner = scale_after(rewards, 60)
    assert learner.reward_scale.item() < 10 * 0.3 / (1 - 0.99**2) ** 0.5


def test_should_stop_round_beyond_the_target_kl() -> None:
    learner = ppo(target_kl=1e-9, lr=0.1, epochs=50)
    optimizer = learner.configure_optimizers()
    replay = OnPolicyReplay(learner.replay)
    batches = 0
    for batch in training_round(learner, replay, [rollout(33)]):
        learner.training_step(batch, 0).backward()
        optimizer.step()
        batches += 1
    assert learner.should_stop_round
    assert batches < 50 * 2


def test_ppo_learns_a_known_optimum() -> None:
    """Reward 1 where the first category was 1 and the second 2: the best policy always does so."""
    learner = ppo(gamma=0.0, gae_lambda=0.0, lr=3e-3, entropy_coef=0.001, target_kl=1.0)
    optimizer = learner.configure_optimizers()
    replay = OnPolicyReplay(learner.replay)
    start = 0
    for _ in range(60):
        steps = rollout(64, start)
        with torch.no_grad():
            logits = learner.net(steps["latent"], steps["state"], steps["last_action"]).logits
            actions = learner.net.distribution(logits)
            steps["action"] = actions.sample()
            steps["log_prob"] = actions.log_prob(steps["action"])
        good = (steps["action"][:, 0] == 1) & (steps["action"][:, 1] == 2)
        steps["reward"][1:] = good[:-1].float()
        start += 64
        for batch in training_round(learner, replay, [steps]):
            optimizer.zero_grad()
            learner.training_step(batch, 0).backward()
            optimizer.step()
    assert good.float().mean() > 0.9


def test_an_untrained_policy_does_not_diverge_from_its_prior() -> None:
    learner, logged = ppo(), dict[str, Tensor]()
    learner.log_dict = logged.update  # type: ignore[method-assign, assignment]
    learner.training_step(learner.prepare(rollout(40)), 0)
    assert abs(logged["prior_kl"].item()) < 1e-6


def test_prior_kl_is_that_of_the_keep_probabilities() -> None:
    learner, logged = ppo(prior_coef=0.5, entropy_coef=0.0, value_coef=0.0), dict[str, Tensor]()
    learner.log_dict = logged.update  # type: ignore[method-assign, assignment]
    with torch.no_grad():
        learner.net.prior.keep.zero_()
    rows = learner.prepare(rollout(40))
    loss = learner.training_step(rows, 0)
    choices, known = (3, 3, 3, 2, 2), (rows["last_action"][:, 0] >= 0).float().mean().item()
    by_hand = sum(-math.log(0.9) / n - math.log(0.1 / (n - 1)) * (n - 1) / n for n in choices)
    by_hand -= sum(map(math.log, choices))
    assert logged["prior_kl"].item() == pytest.approx(by_hand * known, rel=1e-5)
    assert (loss - logged["policy_loss"]).item() == pytest.approx(0.5 * by_hand * known, rel=1e-5)


def test_ppo_logs_its_diagnostics() -> None:
    learner = PPO((4, 8), (2, 16), dim=32, depth=1, mix_features=8)
    updater = Updater(learner, "cpu", "32-true")
    for batch in training_round(learner, OnPolicyReplay(learner.replay), [rollout(40)]):
        updater.update(batch)
    metrics = updater.metrics.take()
    expected = {"loss", "policy_loss", "value_loss", "grad_norm", "explained_variance", "approx_kl"}
    expected |= {"clip_fraction", "entropy", "prior_kl", *(f"entropy_{i}" for i in range(5))}
    expected |= {"stale_steps", "diverged_steps", "reward_raw", "reward_scale", "reward_outliers"}
    assert set(metrics) == expected
