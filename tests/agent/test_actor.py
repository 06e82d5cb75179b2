from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from agent.actor import ActingModules, Actor
from agent.hot_swap import DoubleBufferedModule
from pamiq_lightning.curiosity.base import Curiosity, RewardInputs
from pamiq_lightning.curiosity.prediction_error import PredictionError
from pamiq_lightning.curiosity.shuffled import Shuffled
from pamiq_lightning.exchange.weights import WeightsSpec, WeightsWriter, create, flat_size
from pamiq_lightning.learners.base import Learner
from pamiq_lightning.nets.forward_dynamics import normal_nll
from pamiq_lightning.step import ACTING_ROLES
from pamiq_lightning.utils.instantiate import build
from tests.synthetic import LEARNERS, SHAPE

CPU = torch.device("cpu")
TRUTH = np.zeros(1, np.float32)


class Head:
    """A mind and the learners whose weights it takes."""

    def __init__(
        self,
        folder: Path,
        random_policy: bool = False,
        seed: int = 0,
        logged_rewards: Sequence[Curiosity] = (),
    ) -> None:
        self.learners = {role: build(Learner, LEARNERS[role]) for role in ACTING_ROLES}
        self.writers, hot = {}, {}
        for role, learner in self.learners.items():
            acting = learner.acting_module
            assert acting is not None
            spec = WeightsSpec(folder / role, flat_size(acting))
            create(spec)
            self.writers[role] = WeightsWriter(spec, acting)
            self.writers[role].publish()
            hot[role] = DoubleBufferedModule(acting, spec, CPU)
        self.modules = ActingModules(**hot)
        names = (*SHAPE.info_names, *("reward_beside" for _ in logged_rewards))
        shape = replace(SHAPE, info_names=names)
        self.actor = Actor(
            self.modules, PredictionError(), shape, random_policy, seed, CPU, logged_rewards
        )
        self.actor.poll_weights(None)

    def change(self, role: str) -> None:
        with torch.no_grad():
            for p in self.learners[role].parameters():
                p.add_(0.3 * torch.randn_like(p))
        self.writers[role].publish()


@pytest.fixture
def head(tmp_path: Path) -> Head:
    return Head(tmp_path)


def frame(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (3, 24, 24), np.uint8)


def live(head: Head, ticks: int) -> list[dict[str, np.ndarray]]:
    rows = []
    for tick in range(ticks):
        head.actor.act(frame(tick))
        rows.append(dict(head.actor.finish_step(TRUTH, sees=True)))
    return rows


def test_a_row_holds_the_state_before_its_frame(head: Head) -> None:
    head.change("dynamics")
    head.actor.poll_weights(None)
    rows = live(head, 3)
    assert np.abs(rows[0]["state"]).max() == 0
    net = head.modules.dynamics.active
    state = torch.zeros(1, *SHAPE.state)
    for row, later in itertools.pairwise(rows):
        latent, action = torch.tensor(row["latent"])[None], torch.tensor(row["action"])[None]
        _, state = net.step(latent, action, state)
        np.testing.assert_allclose(later["state"], state[0], rtol=1e-5, atol=1e-6)


def test_the_reward_is_the_surprise_at_what_was_expected_a_tick_ago(head: Head) -> None:
    head.change("dynamics")
    head.actor.poll_weights(None)
    rows = live(head, 2)
    assert rows[0]["is_first"] and rows[0]["reward"] == 0
    before = {
        key: torch.tensor(np.asarray(rows[0][key]))[None] for key in ("latent", "action", "state")
    }
    prediction, _ = head.modules.dynamics.active.step(**before)
    latent = torch.tensor(rows[1]["latent"])
    expected = normal_nll(latent, prediction.mean[0], prediction.log_var[0]).mean()
    assert rows[1]["reward"] == pytest.approx(expected.item(), rel=1e-4)


def test_log_prob_and_value_are_of_the_policy_that_acted(head: Head) -> None:
    (row,) = live(head, 1)
    latent, state = torch.tensor(row["latent"])[None], torch.tensor(row["state"])[None]
    judged = head.modules.policy.active(latent, state)
    actions = head.modules.policy.active.net.distribution(judged.logits)
    log_prob = actions.log_prob(torch.tensor(row["action"])[None]).item()
    assert row["log_prob"] == pytest.approx(log_prob, abs=1e-5)
    assert row["value"] == pytest.approx(judged.value.item(), abs=1e-5)


def test_a_random_policy_is_uniform_and_says_so(tmp_path: Path) -> None:
    head = Head(tmp_path, random_policy=True)
    rows = live(head, 300)
    assert {round(float(row["log_prob"]), 4) for row in rows} == {round(-np.log(108), 4)}
    forward = np.mean([row["action"][0] == 1 for row in rows])
    assert 0.25 < forward < 0.42


def test_the_same_seed_acts_the_same(tmp_path: Path) -> None:
    actions = []
    for run in ("a", "b"):
        (tmp_path / run).mkdir()
        torch.manual_seed(0)
        actions.append([row["action"].tolist() for row in live(Head(tmp_path / run, seed=4), 20)])
    assert actions[0] == actions[1]


def test_new_eyes_are_no_surprise(head: Head) -> None:
    """After an encoder swap the same frame is still what the old eyes expected."""
    live(head, 1)
    head.actor.act(frame(0))
    same = dict(head.actor.finish_step(TRUTH, sees=True))["reward"]
    head.change("encoder")
    head.actor.poll_weights(None)
    assert head.modules.encoder.just_swapped
    head.actor.act(frame(0))
    row = dict(head.actor.finish_step(TRUTH, sees=True))
    # An untrained net expects the latent it saw: only old eyes see that again.
    assert row["reward"] == pytest.approx(same, abs=1e-3)
    assert row["versions"] == [2, 1, 1]
    assert row["is_first"] is False
    head.actor.poll_weights(None)
    assert not head.modules.encoder.just_swapped


def test_a_swap_does_not_reset_the_state_but_a_reset_does(head: Head) -> None:
    head.change("dynamics")
    head.actor.poll_weights(None)
    live(head, 3)
    head.change("dynamics")
    head.actor.poll_weights(None)
    head.actor.act(frame(9))
    assert np.abs(dict(head.actor.finish_step(TRUTH, sees=True))["state"]).max() > 0
    head.actor.reset()
    head.actor.act(frame(10))
    row = dict(head.actor.finish_step(TRUTH, sees=True))
    assert row["is_first"] and np.abs(row["state"]).max() == 0


def test_what_is_shown_to_the_blind_is_not_rewarded(tmp_path: Path) -> None:
    class Times(Curiosity):
        """How often it was asked."""

        count = 0

        def reward(self, inputs: RewardInputs) -> float:
            self.count += 1
            return float(self.count)

    times = Times()
    head = Head(tmp_path, logged_rewards=[times])
    live(head, 3)
    head.actor.act(frame(3))
    row = dict(head.actor.finish_step(TRUTH, sees=False))
    assert times.count == 2
    assert row["reward"] == 0.0
    assert np.isnan(row["info"]).tolist() == [False, True]


def test_warming_up_leaves_no_trace(head: Head, tmp_path: Path) -> None:
    fresh = [row["action"] for row in live(head, 4)]
    (tmp_path / "other").mkdir()
    torch.manual_seed(0)
    other = Head(tmp_path / "other")
    for mine, theirs in zip(other.modules, head.modules, strict=True):
        mine.active.load_state_dict(theirs.active.state_dict())
    acting = [module.active for module in other.modules]
    other.actor.warm_up(frame(9))
    assert [module.active for module in other.modules] == acting
    rows = live(other, 4)
    assert rows[0]["is_first"]
    assert [list(row["action"]) for row in rows] == [list(action) for action in fresh]


@pytest.mark.parametrize("same_agent_state", [True, False])
def test_a_actor_goes_on_from_what_it_told(tmp_path: Path, same_agent_state: bool) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    torch.manual_seed(0)
    whole = Head(tmp_path / "a")
    live(whole, 5)
    told = {name: tensor.clone() for name, tensor in whole.actor.state().items()}
    torch.manual_seed(0)
    again = Head(tmp_path / "b", seed=99)
    live(again, 2)
    again.actor.restore(told, same_agent_state)
    expected, rows = live(whole, 3), live(again, 3)
    assert bool(rows[0]["is_first"]) is not same_agent_state
    if not same_agent_state:
        assert (rows[0]["state"] == 0).all() and rows[0]["reward"] == 0.0
        return
    for one, other in zip(rows, expected, strict=True):
        for key in ("latent", "state", "action", "reward", "log_prob"):
            assert np.array_equal(one[key], other[key]), key


def test_rewards_and_imaginations_go_on_too(tmp_path: Path) -> None:
    path = "pamiq_lightning.curiosity.prediction_error.PredictionError"

    def make(name: str, seed: int = 0) -> Head:
        (tmp_path / name).mkdir()
        torch.manual_seed(0)
        several = PredictionError(imaginations=3)
        return Head(
            tmp_path / name, seed=seed, logged_rewards=[several, Shuffled({"class_path": path}, 3)]
        )

    whole, again = make("a"), make("b", seed=99)
    live(whole, 5)
    told = {name: tensor.clone() for name, tensor in whole.actor.state().items()}
    live(again, 2)
    again.actor.restore(told, same_agent_state=True)
    for one, other in zip(live(again, 4), live(whole, 4), strict=True):
        assert np.array_equal(one["info"], other["info"])
        assert np.isfinite(one["info"]).all()


def test_warming_up_leaves_no_trace_in_the_rewards(tmp_path: Path) -> None:
    path = "pamiq_lightning.curiosity.prediction_error.PredictionError"
    shuffled = Shuffled({"class_path": path}, span=3)
    head = Head(tmp_path, logged_rewards=[shuffled])
    live(head, 3)
    before = shuffled.state()
    head.actor.warm_up(frame(9))
    after = shuffled.state()
    assert after["waiting"].tolist() == before["waiting"].tolist()
    assert (after["generator"] == before["generator"]).all()


class Witness(Curiosity):
    """Keeps what it was shown, and rewards with the imaginations in flight."""

    horizon = 3

    def __init__(self) -> None:
        self.shown: list[RewardInputs] = []

    def reward(self, inputs: RewardInputs) -> float:
        self.shown.append(inputs)
        return float(len(inputs.prediction.mean))


def test_rewards_beside_go_into_the_info_and_imaginations_use_the_actions_taken(
    tmp_path: Path,
) -> None:
    witness = Witness()
    head = Head(tmp_path, logged_rewards=[witness])
    head.change("dynamics")
    head.actor.poll_weights(None)
    rows = live(head, 5)
    info = [row["info"] for row in rows]
    assert np.isnan(info[0][1]) and info[0][0] == 0
    assert [n[1] for n in info[1:]] == [1, 2, 3, 3]
    # It began at row 1, saw nothing since, and took the actions of rows 1, 2 and 3.
    keys = ("latent", "action", "state")
    latent, _, state = (torch.tensor(np.asarray(rows[1][key]))[None] for key in keys)
    actions = torch.stack([torch.tensor(row["action"]) for row in rows[1:4]])[None]
    imagined = head.modules.dynamics.active.imagine(latent, actions, state)
    torch.testing.assert_close(
        witness.shown[-1].prediction.mean[2], imagined[0, 2], rtol=1e-4, atol=1e-5
    )
    assert (witness.shown[-1].last_action == torch.tensor(rows[3]["action"])).all()
    assert witness.shown[-1].last_info == {"x": 0.0}


def test_new_eyes_end_the_imaginations_of_the_old(tmp_path: Path) -> None:
    head = Head(tmp_path, logged_rewards=[Witness()])
    live(head, 4)
    head.change("encoder")
    head.actor.poll_weights(None)
    assert [row["info"][1] for row in live(head, 3)] == [3, 1, 2]


def test_a_reward_beside_changes_nothing(tmp_path: Path) -> None:
    lives = []
    for name, logged_rewards in (("with", [Witness()]), ("without", [])):
        (tmp_path / name).mkdir()
        torch.manual_seed(0)
        lives.append(live(Head(tmp_path / name, logged_rewards=logged_rewards), 6))
    for row, other in zip(*lives, strict=True):
        assert row["reward"] == pytest.approx(other["reward"], rel=1e-5)
        np.testing.assert_array_equal(row["action"], other["action"])
