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


class TrainerParts:
    """A trainer without its process."""

    def __init__(
        self, folder: Path, fair: bool = False, ratio: float = 0.0, **settings: LearnerSettings
    ) -> None:
        self.folder = folder
        self.waits: list[bool] = []
        self.saves, self.rollouts_read = 0, list[Rollout]()
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
            [self.rollouts_read.append],
            fair,
            ratio,
        )

    def _wait(self, block: bool) -> bool:
        self.waits.append(block)
        return self.on_wait(len(self.waits))

    def _save(self) -> bool:
        self.saves += 1
        return self.can_save

    def train(self, number: int) -> None:
        """Fill a rollout and train every worker on it."""
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
def build_parts(tmp_path: Path) -> Iterator[Callable[..., TrainerParts]]:
    all_parts: list[TrainerParts] = []

    def build_one(**settings: Any) -> TrainerParts:
        all_parts.append(TrainerParts(tmp_path, **settings))
        return all_parts[-1]

    yield build_one
    for parts in all_parts:
        parts.log.close()


def test_loop_trains_and_publishes_every_learner(build_parts: Callable[..., TrainerParts]) -> None:
    parts = build_parts()
    assert not parts.loop.turn()
    for number in range(3):
        parts.train(number)
    for role, worker in parts.workers.items():
        metrics = parts.board.learner(role)
        assert metrics["rollouts"] == 3, role
        assert metrics["updates"] == worker.updater.batches > 0, role
        assert metrics["version"] == (0 if role == "decoder" else 3), role
        assert parts.metrics(role)[-1]["step"] == worker.updater.batches
    assert parts.board.rounds == 3
    assert len(list((parts.folder / "previews").glob("*.png"))) == 2


def test_loop_trains_on_all_unread_rollouts_in_one_round(
    build_parts: Callable[..., TrainerParts],
) -> None:
    parts = build_parts()
    for number in range(2):
        fill(parts.rollouts, number)
    parts.train(2)
    assert parts.board.learner("policy")["rollouts"] == 3
    assert parts.board.learner("policy")["version"] == 1
    assert [record["step"] for record in parts.metrics("agent")] == [0, 1, 2]


def test_a_round_is_counted_when_the_last_worker_has_finished(
    build_parts: Callable[..., TrainerParts],
) -> None:
    parts = build_parts()
    fill(parts.rollouts, 0)
    for turn in range(len(LEARNERS)):
        assert parts.board.rounds == 0, turn
        parts.loop.turn()
    assert parts.board.rounds == 1


def test_on_rollout_is_called_with_every_rollout(build_parts: Callable[..., TrainerParts]) -> None:
    parts = build_parts()
    for number in range(3):
        fill(parts.rollouts, number)
    while parts.loop.turn():
        pass
    assert [rollout.number for rollout in parts.rollouts_read] == [0, 1, 2]


def test_rollout_metrics_include_logged_rewards() -> None:
    steps = arrays(4)
    steps["info"] = np.array([[7, np.nan, np.nan], [7, 1, np.nan], [7, 2, np.nan], [7, 3, np.nan]])
    logged = rollout_metrics(Rollout(0, steps, {}), ("x", "reward_a", "reward_b"))
    assert logged["reward_a_mean"] == 2
    assert not {"x", "x_mean", "reward_b_mean"} & set(logged)


def test_fair_loop_trains_the_worker_with_the_least_time_first(
    build_parts: Callable[..., TrainerParts],
) -> None:
    parts = build_parts(fair=True)
    for number, worker in enumerate(parts.workers.values()):
        worker.seconds = -1e6 * number
    fill(parts.rollouts, 0)
    trained = []
    while parts.loop.turn():
        trained.append(next(r for r, t in parts.workers.items() if t.rollouts and r not in trained))
    assert trained == list(reversed(LEARNERS))


def test_fair_loop_does_not_wait_for_a_slow_worker(
    build_parts: Callable[..., TrainerParts],
) -> None:
    parts = build_parts(fair=True)
    parts.workers["encoder"].seconds = 1e6
    for number in range(3):
        fill(parts.rollouts, number)
        for _ in range(3):
            parts.loop.turn()
    assert [parts.workers[role].rollouts for role in LEARNERS] == [0, 3, 3, 3]
    assert parts.board.rounds == 0
    parts.loop.turn()
    assert parts.workers["encoder"].rollouts == 3
    assert parts.board.rounds == 3


def test_a_slow_worker_drops_the_oldest_rollouts(build_parts: Callable[..., TrainerParts]) -> None:
    parts = build_parts(fair=True)
    parts.workers["encoder"].seconds = 1e6
    for number in range(10):
        fill(parts.rollouts, number)
        for _ in range(3):
            parts.loop.turn()
    assert [w.number for w in parts.workers["encoder"].pending] == list(range(2, 10))
    assert parts.board.rollouts_dropped == 2


def test_loop_ends_when_the_agent_is_gone(build_parts: Callable[..., TrainerParts]) -> None:
    parts = build_parts()
    parts.loop.run(notify_agent=pytest.fail)
    assert parts.waits == [True]


def test_a_frozen_learner_is_not_trained_or_published(
    build_parts: Callable[..., TrainerParts],
) -> None:
    parts = build_parts(encoder=LearnerSettings(freeze=True), ratio=1.0)
    parts.train(0)
    while parts.loop.replay_update():
        pass
    assert parts.board.learner("encoder")["updates"] == 0
    assert parts.board.learner("encoder")["version"] == 0
    assert parts.board.learner("policy")["updates"] > 0
    assert parts.board.rounds == 1


def test_round_limit_ends_a_round_early(build_parts: Callable[..., TrainerParts]) -> None:
    parts = build_parts(encoder=LearnerSettings(round_limit_s=1e-9))
    parts.train(0)
    assert parts.board.learner("encoder")["updates"] == 1


def test_loop_ends_when_the_board_says_stop(build_parts: Callable[..., TrainerParts]) -> None:
    parts = build_parts()

    def wait(count: int) -> bool:
        if count == 2:
            parts.board.request_stop()
        return True

    parts.on_wait = wait
    parts.loop.run(notify_agent=pytest.fail)
    assert parts.waits == [True, True]


def test_replay_updates_stop_at_the_ratio_and_are_counted(
    build_parts: Callable[..., TrainerParts],
) -> None:
    parts = build_parts(ratio=2.0)
    assert not parts.loop.replay_update()
    parts.train(0)
    round_updates = {role: worker.updater.batches for role, worker in parts.workers.items()}
    while parts.loop.replay_update():
        pass
    for role, worker in parts.workers.items():
        metrics = parts.board.learner(role)
        # The policy is on-policy: it has no replay updates.
        expected = 0 if role == "policy" else 2 * round_updates[role]
        assert metrics["replay_updates"] == expected, role
        assert metrics["updates"] == worker.updater.batches == round_updates[role] + expected
        assert metrics["version"] == (0 if role == "decoder" else 1)


def test_a_new_rollout_comes_before_the_next_replay_update(
    build_parts: Callable[..., TrainerParts],
) -> None:
    parts = build_parts(ratio=1e9)
    parts.train(0)

    def wait(count: int) -> bool:
        if count == 3:
            fill(parts.rollouts, 1)
        return parts.board.rounds < 2

    parts.on_wait = wait
    ended: list[int] = []
    parts.loop.run(notify_agent=lambda: ended.append(len(parts.waits)))
    assert ended == [3]
    assert not any(parts.waits)


def test_a_pause_makes_no_updates(build_parts: Callable[..., TrainerParts]) -> None:
    parts = build_parts(ratio=1e9)
    parts.train(0)
    parts.board.request_pause(True)
    before = {role: t.updater.batches for role, t in parts.workers.items()}

    def wait(count: int) -> bool:
        assert parts.board.paused
        assert {role: t.updater.batches for role, t in parts.workers.items()} == before
        if count == 5:
            parts.board.request_pause(False)
            parts.board.request_stop()
        return True

    parts.on_wait = wait
    parts.loop.run(notify_agent=pytest.fail)
    assert parts.waits == 5 * [True]


@pytest.mark.parametrize("possible", [True, False])
def test_a_requested_save_is_made_even_while_paused(
    build_parts: Callable[..., TrainerParts], possible: bool
) -> None:
    parts = build_parts()
    parts.can_save = possible
    parts.board.request_pause(True)
    numbers = [parts.board.request_save()]

    def wait(count: int) -> bool:
        if count == 2:
            numbers.append(parts.board.request_save())
        return count < 4

    parts.on_wait = wait
    parts.loop.run(notify_agent=pytest.fail)
    assert parts.saves == 2
    assert [parts.board.saved(number) for number in numbers] == [possible, possible]


@pytest.mark.parametrize("role", list(LEARNERS))
def test_warm_up_makes_updates(role: str) -> None:
    learner = build(Learner, LEARNERS[role])
    warm_up(learner, SHAPE, "cpu", "32-true")
    assert learner.n_updates >= 1
