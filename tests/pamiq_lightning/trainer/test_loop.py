from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pamiq_lightning.exchange.rollouts import Rollout, RolloutReader, RolloutWriter
from pamiq_lightning.exchange.status_board import StatusBoard, StatusBoardSpec
from pamiq_lightning.exchange.weights import WeightsSpec, WeightsWriter, create, flat_size
from pamiq_lightning.learners.base import Learner
from pamiq_lightning.trainer.loop import TrainerLoop, rollout_metrics
from pamiq_lightning.trainer.previews import PreviewRenderer
from pamiq_lightning.trainer.run_log import RunLog
from pamiq_lightning.trainer.settings import LearnerSettings
from pamiq_lightning.trainer.update import Updater
from pamiq_lightning.trainer.warm_up import warm_up
from pamiq_lightning.trainer.worker import LearnerWorker
from pamiq_lightning.utils.instantiate import build
from tests.pamiq_lightning.exchange.test_rollouts import fill, ring
from tests.synthetic import LEARNERS, SHAPE, arrays


class House:
    """All of a trainer but its process."""

    def __init__(
        self, folder: Path, fair: bool = False, idle: float = 0.0, **settings: LearnerSettings
    ) -> None:
        self.folder = folder
        self.waits: list[bool] = []
        self.saves, self.taken = 0, list[Rollout]()
        self.can_save = True
        self.on_wait: Callable[[int], bool] = lambda _: False
        self.rollouts = RolloutWriter(ring(folder, rows=16, slots=8))
        self.board = StatusBoard(StatusBoardSpec(folder / "board", tuple(LEARNERS)), create=True)
        self.log = RunLog(folder, None)
        self.workers = {
            role: self.worker(role, settings.get(role, LearnerSettings())) for role in LEARNERS
        }
        learners = {role: t.learner for role, t in self.workers.items()}
        self.loop = TrainerLoop(
            list(self.workers.values()),
            RolloutReader(self.rollouts.spec),
            self.board,
            self.log,
            self._wait,
            self._save,
            [PreviewRenderer(learners, self.log, every=2)],
            [self.taken.append],
            fair,
            idle,
        )

    def _wait(self, block: bool) -> bool:
        self.waits.append(block)
        return self.on_wait(len(self.waits))

    def _save(self) -> bool:
        self.saves += 1
        return self.can_save

    def live(self, number: int) -> None:
        """Fill a window and let every learner have its turn."""
        fill(self.rollouts, number)
        while self.loop.turn():
            pass

    def worker(self, role: str, settings: LearnerSettings) -> LearnerWorker:
        learner = build(Learner, LEARNERS[role])
        updater, writer = Updater(learner, "cpu", "32-true"), None
        if learner.acting_module is not None:
            spec = WeightsSpec(self.folder / role, flat_size(learner.acting_module))
            create(spec)
            writer = WeightsWriter(spec, learner.acting_module)
        return LearnerWorker(role, learner, updater, writer, settings)

    def metrics(self, role: str) -> list[dict[str, float]]:
        lines = (self.folder / "metrics.jsonl").read_text().splitlines()
        return [record for line in lines if (record := json.loads(line))["role"] == role]


@pytest.fixture
def build_house(tmp_path: Path) -> Iterator[Callable[..., House]]:
    houses: list[House] = []

    def build_one(**settings: Any) -> House:
        houses.append(House(tmp_path, **settings))
        return houses[-1]

    yield build_one
    for house in houses:
        house.log.close()


def test_every_learner_is_trained_and_published(build_house: Callable[..., House]) -> None:
    house = build_house()
    assert not house.loop.turn()
    for number in range(3):
        house.live(number)
    for role, worker in house.workers.items():
        metrics = house.board.learner(role)
        assert metrics["rollouts"] == 3, role
        assert metrics["updates"] == worker.updater.batches > 0, role
        assert metrics["version"] == (0 if role == "decoder" else 3), role
        assert house.metrics(role)[-1]["step"] == worker.updater.batches
    assert house.board.rounds == 3
    assert len(list((house.folder / "pictures").glob("*.png"))) == 2


def test_unread_rollouts_are_taken_together_and_counted(build_house: Callable[..., House]) -> None:
    house = build_house()
    for number in range(2):
        fill(house.rollouts, number)
    house.live(2)
    assert house.board.learner("policy")["rollouts"] == 3
    assert house.board.learner("policy")["version"] == 1
    assert [record["step"] for record in house.metrics("agent")] == [0, 1, 2]


def test_a_rollout_is_done_when_the_last_learner_had_it(build_house: Callable[..., House]) -> None:
    house = build_house()
    fill(house.rollouts, 0)
    for turn in range(len(LEARNERS)):
        assert house.board.rounds == 0, turn
        house.loop.turn()
    assert house.board.rounds == 1


def test_every_rollout_read_is_shown_to_the_takers(build_house: Callable[..., House]) -> None:
    house = build_house()
    for number in range(3):
        fill(house.rollouts, number)
    while house.loop.turn():
        pass
    assert [rollout.number for rollout in house.taken] == [0, 1, 2]


def test_rewards_beside_are_logged_by_rollout() -> None:
    steps = arrays(4)
    steps["info"] = np.array([[7, np.nan, np.nan], [7, 1, np.nan], [7, 2, np.nan], [7, 3, np.nan]])
    logged = rollout_metrics(Rollout(0, steps, {}), ("x", "reward_a", "reward_b"))
    assert logged["reward_a_mean"] == 2
    assert not {"x", "x_mean", "reward_b_mean"} & set(logged)


def test_turns_are_fair_by_time(build_house: Callable[..., House]) -> None:
    house = build_house(fair=True)
    for place, worker in enumerate(house.workers.values()):
        worker.seconds = -1e6 * place
    fill(house.rollouts, 0)
    trained = []
    while house.loop.turn():
        trained.append(next(r for r, t in house.workers.items() if t.rollouts and r not in trained))
    assert trained == list(reversed(LEARNERS))


def test_a_learner_that_had_its_turn_does_not_wait_for_the_others(
    build_house: Callable[..., House],
) -> None:
    house = build_house(fair=True)
    house.workers["encoder"].seconds = 1e6
    for number in range(3):
        fill(house.rollouts, number)
        for _ in range(3):
            house.loop.turn()
    assert [house.workers[role].rollouts for role in LEARNERS] == [0, 3, 3, 3]
    assert house.board.rounds == 0
    house.loop.turn()
    assert house.workers["encoder"].rollouts == 3
    assert house.board.rounds == 3


def test_a_learner_that_is_too_slow_loses_the_oldest_rollouts(
    build_house: Callable[..., House],
) -> None:
    house = build_house(fair=True)
    house.workers["encoder"].seconds = 1e6
    for number in range(10):
        fill(house.rollouts, number)
        for _ in range(3):
            house.loop.turn()
    assert [w.number for w in house.workers["encoder"].pending] == list(range(2, 10))
    assert house.board.rollouts_dropped == 2


def test_an_agent_that_is_gone_ends_the_loop(build_house: Callable[..., House]) -> None:
    house = build_house()
    house.loop.run(on_round=pytest.fail)
    assert house.waits == [True]


def test_a_frozen_learner_is_neither_trained_nor_published_again(
    build_house: Callable[..., House],
) -> None:
    house = build_house(encoder=LearnerSettings(freeze=True), idle=1.0)
    house.live(0)
    while house.loop.replay_update():
        pass
    assert house.board.learner("encoder")["updates"] == 0
    assert house.board.learner("encoder")["version"] == 0
    assert house.board.learner("policy")["updates"] > 0
    assert house.board.rounds == 1


def test_a_budget_ends_a_round_early(build_house: Callable[..., House]) -> None:
    house = build_house(encoder=LearnerSettings(round_limit_s=1e-9))
    house.live(0)
    assert house.board.learner("encoder")["updates"] == 1


def test_the_board_ends_the_loop(build_house: Callable[..., House]) -> None:
    house = build_house()

    def wait(count: int) -> bool:
        if count == 2:
            house.board.request_stop()
        return True

    house.on_wait = wait
    house.loop.run(on_round=pytest.fail)
    assert house.waits == [True, True]


def test_memory_is_rehearsed_up_to_the_ratio_and_counted_apart(
    build_house: Callable[..., House],
) -> None:
    house = build_house(idle=2.0)
    assert not house.loop.replay_update()
    house.live(0)
    lived = {role: worker.updater.batches for role, worker in house.workers.items()}
    while house.loop.replay_update():
        pass
    for role, worker in house.workers.items():
        told = house.board.learner(role)
        # The policy learns from what it has just done, or not at all.
        expected = 0 if role == "policy" else 2 * lived[role]
        assert told["idle_updates"] == expected, role
        assert told["updates"] == worker.updater.batches == lived[role] + expected
        assert told["version"] == (0 if role == "decoder" else 1)


def test_a_new_rollout_comes_before_the_next_rehearsal(build_house: Callable[..., House]) -> None:
    house = build_house(idle=1e9)
    house.live(0)

    def wait(count: int) -> bool:
        if count == 3:
            fill(house.rollouts, 1)
        return house.board.rounds < 2

    house.on_wait = wait
    ended: list[int] = []
    house.loop.run(on_round=lambda: ended.append(len(house.waits)))
    assert ended == [3]
    assert not any(house.waits)


def test_a_pause_stands_still_between_two_updates(build_house: Callable[..., House]) -> None:
    house = build_house(idle=1e9)
    house.live(0)
    house.board.request_pause(True)
    before = {role: t.updater.batches for role, t in house.workers.items()}

    def wait(count: int) -> bool:
        assert house.board.paused
        assert {role: t.updater.batches for role, t in house.workers.items()} == before
        if count == 5:
            house.board.request_pause(False)
            house.board.request_stop()
        return True

    house.on_wait = wait
    house.loop.run(on_round=pytest.fail)
    assert house.waits == 5 * [True]


@pytest.mark.parametrize("possible", [True, False])
def test_a_save_is_made_when_asked_for_even_while_paused(
    build_house: Callable[..., House], possible: bool
) -> None:
    house = build_house()
    house.can_save = possible
    house.board.request_pause(True)
    numbers = [house.board.request_save()]

    def wait(count: int) -> bool:
        if count == 2:
            numbers.append(house.board.request_save())
        return count < 4

    house.on_wait = wait
    house.loop.run(on_round=pytest.fail)
    assert house.saves == 2
    assert [house.board.saved(number) for number in numbers] == [possible, possible]


@pytest.mark.parametrize("role", list(LEARNERS))
def test_warming_up_makes_updates(role: str) -> None:
    learner = build(Learner, LEARNERS[role])
    warm_up(learner, SHAPE, "cpu", "32-true")
    assert learner.n_updates >= 1
