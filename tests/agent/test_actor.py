from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from agent.actor import ActingModules, Actor
from agent.gaits import Gait, make_gait
from agent.hot_swap import DoubleBufferedModule
from pamiq_lightning.curiosity.base import Curiosity, RewardInputs
from pamiq_lightning.curiosity.prediction_error import PredictionError
from pamiq_lightning.curiosity.shuffled import Shuffled
from pamiq_lightning.exchange.weights import WeightsSpec, WeightsWriter, create, flat_size
from pamiq_lightning.learners.base import Learner
from pamiq_lightning.nets.forward_dynamics import normal_nll
from pamiq_lightning.step import ACTING_ROLES, NO_ACTION
from pamiq_lightning.utils.instantiate import build
from tests.synthetic import LEARNERS, SHAPE

CPU = torch.device("cpu")
INFO = np.zeros(1, np.float32)


class ActorFixture:
    """An actor and the learners whose weights it takes."""

    def __init__(
        self,
        folder: Path,
        gait: Gait | None = None,
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
        names = (*SHAPE.info_names, *("reward_logged" for _ in logged_rewards))
        shape = replace(SHAPE, info_names=names)
        self.actor = Actor(self.modules, PredictionError(), shape, seed, CPU, gait, logged_rewards)
        self.actor.poll_weights(None)

    def change(self, role: str) -> None:
        with torch.no_grad():
            for p in self.learners[role].parameters():
                p.add_(0.3 * torch.randn_like(p))
        self.writers[role].publish()


@pytest.fixture
def fixture(tmp_path: Path) -> ActorFixture:
    return ActorFixture(tmp_path)


def frame(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (3, 24, 24), np.uint8)


def run_ticks(fixture: ActorFixture, ticks: int) -> list[dict[str, np.ndarray]]:
    rows = []
    for tick in range(ticks):
        fixture.actor.act(frame(tick))
        rows.append(dict(fixture.actor.finish_step(INFO, valid=True)))
    return rows


def test_row_holds_the_state_before_its_frame(fixture: ActorFixture) -> None:
    fixture.change("dynamics")
    fixture.actor.poll_weights(None)
    rows = run_ticks(fixture, 3)
    assert np.abs(rows[0]["state"]).max() == 0
    net = fixture.modules.dynamics.active
    state = torch.zeros(1, *SHAPE.state)
    for row, later in itertools.pairwise(rows):
        latent, action = torch.tensor(row["latent"])[None], torch.tensor(row["action"])[None]
        _, state = net.step(latent, action, state)
        np.testing.assert_allclose(later["state"], state[0], rtol=1e-5, atol=1e-6)


def test_reward_is_the_error_of_the_last_prediction(fixture: ActorFixture) -> None:
    fixture.change("dynamics")
    fixture.actor.poll_weights(None)
    rows = run_ticks(fixture, 2)
    assert rows[0]["is_first"] and rows[0]["reward"] == 0
    before = {
        key: torch.tensor(np.asarray(rows[0][key]))[None] for key in ("latent", "action", "state")
    }
    prediction, _ = fixture.modules.dynamics.active.step(**before)
    latent = torch.tensor(rows[1]["latent"])
    expected = normal_nll(latent, prediction.mean[0], prediction.log_var[0]).mean()
    assert rows[1]["reward"] == pytest.approx(expected.item(), rel=1e-4)


def test_log_prob_and_value_are_of_the_policy_that_acted(fixture: ActorFixture) -> None:
    (row,) = run_ticks(fixture, 1)
    latent, state = torch.tensor(row["latent"])[None], torch.tensor(row["state"])[None]
    output = fixture.modules.policy.active(latent, state, torch.full((1, 5), NO_ACTION))
    actions = fixture.modules.policy.active.net.distribution(output.logits)
    log_prob = actions.log_prob(torch.tensor(row["action"])[None]).item()
    assert row["log_prob"] == pytest.approx(log_prob, abs=1e-5)
    assert row["value"] == pytest.approx(output.value.item(), abs=1e-5)


def test_a_gait_acts_instead_of_the_policy_and_its_log_prob_is_logged(tmp_path: Path) -> None:
    fixture = ActorFixture(tmp_path, make_gait("jitter"))
    rows = run_ticks(fixture, 300)
    assert {round(float(row["log_prob"]), 4) for row in rows} == {round(-np.log(108), 4)}
    forward = np.mean([row["action"][0] == 1 for row in rows])
    assert 0.25 < forward < 0.42


def test_last_action_is_that_of_the_tick_before_and_none_after_a_reset(
    fixture: ActorFixture,
) -> None:
    rows = run_ticks(fixture, 3)
    fixture.actor.reset()
    rows += run_ticks(fixture, 2)
    last = [row["last_action"].tolist() for row in rows]
    assert last[0] == last[3] == [NO_ACTION] * 5
    assert [last[1], last[2], last[4]] == [rows[n]["action"].tolist() for n in (0, 1, 3)]


def test_an_untrained_policy_keeps_its_choices(fixture: ActorFixture) -> None:
    rows = run_ticks(fixture, 400)
    kept = np.mean([(row["action"] == row["last_action"]) for row in rows[1:]], axis=0)
    np.testing.assert_allclose(kept, 0.9, atol=0.06)


def test_same_seed_gives_the_same_actions(tmp_path: Path) -> None:
    actions = []
    for run in ("a", "b"):
        (tmp_path / run).mkdir()
        torch.manual_seed(0)
        actions.append(
            [row["action"].tolist() for row in run_ticks(ActorFixture(tmp_path / run, seed=4), 20)]
        )
    assert actions[0] == actions[1]


def test_encoder_swap_adds_no_reward(fixture: ActorFixture) -> None:
    """The same frame, encoded as the prediction was, is as well predicted as before the swap."""
    run_ticks(fixture, 1)
    fixture.actor.act(frame(0))
    same = dict(fixture.actor.finish_step(INFO, valid=True))["reward"]
    fixture.change("encoder")
    fixture.actor.poll_weights(None)
    assert fixture.modules.encoder.just_swapped
    fixture.actor.act(frame(0))
    row = dict(fixture.actor.finish_step(INFO, valid=True))
    # An untrained net predicts the last latent: only the previous encoder gives it again.
    assert row["reward"] == pytest.approx(same, abs=1e-3)
    assert row["versions"] == [2, 1, 1]
    assert row["is_first"] is False
    fixture.actor.poll_weights(None)
    assert not fixture.modules.encoder.just_swapped


def test_swap_keeps_the_state_and_reset_clears_it(fixture: ActorFixture) -> None:
    fixture.change("dynamics")
    fixture.actor.poll_weights(None)
    run_ticks(fixture, 3)
    fixture.change("dynamics")
    fixture.actor.poll_weights(None)
    fixture.actor.act(frame(9))
    assert np.abs(dict(fixture.actor.finish_step(INFO, valid=True))["state"]).max() > 0
    fixture.actor.reset()
    fixture.actor.act(frame(10))
    row = dict(fixture.actor.finish_step(INFO, valid=True))
    assert row["is_first"] and np.abs(row["state"]).max() == 0


def test_invalid_frame_is_not_rewarded(tmp_path: Path) -> None:
    class Times(Curiosity):
        """Rewards with the number of calls."""

        count = 0

        def reward(self, inputs: RewardInputs) -> float:
            self.count += 1
            return float(self.count)

    times = Times()
    fixture = ActorFixture(tmp_path, logged_rewards=[times])
    run_ticks(fixture, 3)
    fixture.actor.act(frame(3))
    row = dict(fixture.actor.finish_step(INFO, valid=False))
    assert times.count == 2
    assert row["reward"] == 0.0
    assert np.isnan(row["info"]).tolist() == [False, True]


def test_warm_up_leaves_the_actor_unchanged(fixture: ActorFixture, tmp_path: Path) -> None:
    fresh = [row["action"] for row in run_ticks(fixture, 4)]
    (tmp_path / "other").mkdir()
    torch.manual_seed(0)
    other = ActorFixture(tmp_path / "other")
    for mine, theirs in zip(other.modules, fixture.modules, strict=True):
        mine.active.load_state_dict(theirs.active.state_dict())
    acting = [module.active for module in other.modules]
    other.actor.warm_up(frame(9))
    assert [module.active for module in other.modules] == acting
    rows = run_ticks(other, 4)
    assert rows[0]["is_first"]
    assert [list(row["action"]) for row in rows] == [list(action) for action in fresh]


@pytest.mark.parametrize("same_tick", [True, False])
def test_loaded_actor_continues(tmp_path: Path, same_tick: bool) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    torch.manual_seed(0)
    whole = ActorFixture(tmp_path / "a")
    run_ticks(whole, 5)
    tensors = {name: tensor.clone() for name, tensor in whole.actor.state_dict().items()}
    torch.manual_seed(0)
    again = ActorFixture(tmp_path / "b", seed=99)
    run_ticks(again, 2)
    again.actor.load_state_dict(tensors, same_tick)
    expected, rows = run_ticks(whole, 3), run_ticks(again, 3)
    assert bool(rows[0]["is_first"]) is not same_tick
    if not same_tick:
        assert (rows[0]["state"] == 0).all() and rows[0]["reward"] == 0.0
        return
    for one, other in zip(rows, expected, strict=True):
        for key in ("latent", "state", "action", "reward", "log_prob"):
            assert np.array_equal(one[key], other[key]), key


def test_loaded_actor_continues_rewards_and_imaginations(tmp_path: Path) -> None:
    path = "pamiq_lightning.curiosity.prediction_error.PredictionError"

    def make(name: str, seed: int = 0) -> ActorFixture:
        (tmp_path / name).mkdir()
        torch.manual_seed(0)
        several = PredictionError(imaginations=3)
        return ActorFixture(
            tmp_path / name, seed=seed, logged_rewards=[several, Shuffled({"class_path": path}, 3)]
        )

    whole, again = make("a"), make("b", seed=99)
    run_ticks(whole, 5)
    tensors = {name: tensor.clone() for name, tensor in whole.actor.state_dict().items()}
    run_ticks(again, 2)
    again.actor.load_state_dict(tensors, same_tick=True)
    for one, other in zip(run_ticks(again, 4), run_ticks(whole, 4), strict=True):
        assert np.array_equal(one["info"], other["info"])
        assert np.isfinite(one["info"]).all()


def test_warm_up_leaves_the_rewards_unchanged(tmp_path: Path) -> None:
    path = "pamiq_lightning.curiosity.prediction_error.PredictionError"
    shuffled = Shuffled({"class_path": path}, span=3)
    fixture = ActorFixture(tmp_path, logged_rewards=[shuffled])
    run_ticks(fixture, 3)
    before = shuffled.state_dict()
    fixture.actor.warm_up(frame(9))
    after = shuffled.state_dict()
    assert after["waiting"].tolist() == before["waiting"].tolist()
    assert (after["generator"] == before["generator"]).all()


class RecordingReward(Curiosity):
    """Records its inputs, and rewards with the number of imaginations in flight."""

    horizon = 3

    def __init__(self) -> None:
        self.inputs: list[RewardInputs] = []

    def reward(self, inputs: RewardInputs) -> float:
        self.inputs.append(inputs)
        return float(len(inputs.prediction.mean))


def test_logged_rewards_go_into_info_and_imaginations_use_the_actions_taken(tmp_path: Path) -> None:
    recorder = RecordingReward()
    fixture = ActorFixture(tmp_path, logged_rewards=[recorder])
    fixture.change("dynamics")
    fixture.actor.poll_weights(None)
    rows = run_ticks(fixture, 5)
    info = [row["info"] for row in rows]
    assert np.isnan(info[0][1]) and info[0][0] == 0
    assert [n[1] for n in info[1:]] == [1, 2, 3, 3]
    # It began at row 1, observed nothing since, and took the actions of rows 1, 2 and 3.
    keys = ("latent", "action", "state")
    latent, _, state = (torch.tensor(np.asarray(rows[1][key]))[None] for key in keys)
    actions = torch.stack([torch.tensor(row["action"]) for row in rows[1:4]])[None]
    imagined = fixture.modules.dynamics.active.imagine(latent, actions, state)
    torch.testing.assert_close(
        recorder.inputs[-1].prediction.mean[2], imagined[0, 2], rtol=1e-4, atol=1e-5
    )
    assert (recorder.inputs[-1].last_action == torch.tensor(rows[3]["action"])).all()
    assert recorder.inputs[-1].last_info == {"x": 0.0}


def test_encoder_swap_ends_the_imaginations(tmp_path: Path) -> None:
    fixture = ActorFixture(tmp_path, logged_rewards=[RecordingReward()])
    run_ticks(fixture, 4)
    fixture.change("encoder")
    fixture.actor.poll_weights(None)
    assert [row["info"][1] for row in run_ticks(fixture, 3)] == [3, 1, 2]


def test_logged_reward_changes_nothing(tmp_path: Path) -> None:
    rows = []
    for name, logged_rewards in (("with", [RecordingReward()]), ("without", [])):
        (tmp_path / name).mkdir()
        torch.manual_seed(0)
        rows.append(run_ticks(ActorFixture(tmp_path / name, logged_rewards=logged_rewards), 6))
    for row, other in zip(*rows, strict=True):
        assert row["reward"] == pytest.approx(other["reward"], rel=1e-5)
        np.testing.assert_array_equal(row["action"], other["action"])
