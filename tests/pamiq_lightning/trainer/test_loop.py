from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pamiq_lightning.class_spec import build
from pamiq_lightning.exchange.board import Board, BoardSpec
from pamiq_lightning.exchange.weights import WeightsSpec, WeightsWriter, create, vector_bytes
from pamiq_lightning.exchange.windows import WindowsReader, WindowsWriter
from pamiq_lightning.learners.base import Learner
from pamiq_lightning.trainer.driver import Driver
from pamiq_lightning.trainer.logs import RunLog
from pamiq_lightning.trainer.loop import Trainee, TrainerLoop
from pamiq_lightning.trainer.pictures import Artist
from pamiq_lightning.trainer.settings import LearnerSettings
from pamiq_lightning.trainer.warm_up import warm_up
from tests.pamiq_lightning.exchange.test_windows import fill, ring
from tests.samples import LEARNERS, SHAPE


class House:
    """All of a trainer but its process."""

    def __init__(self, folder: Path, **settings: LearnerSettings) -> None:
        self.folder = folder
        self.windows = WindowsWriter(ring(folder, rows=16, slots=8))
        self.board = Board(BoardSpec(folder / "board", tuple(LEARNERS)), create=True)
        self.log = RunLog(folder, None)
        self.trainees = {
            role: self.trainee(role, settings.get(role, LearnerSettings())) for role in LEARNERS
        }
        learners = {role: t.learner for role, t in self.trainees.items()}
        self.loop = TrainerLoop(
            list(self.trainees.values()),
            WindowsReader(self.windows.spec),
            self.board,
            self.log,
            [Artist(learners, self.log, every=2)],
        )

    def trainee(self, role: str, settings: LearnerSettings) -> Trainee:
        learner = build(Learner, LEARNERS[role])
        driver, writer = Driver(learner, "cpu", "32-true"), None
        if learner.acting is not None:
            spec = WeightsSpec(self.folder / role, vector_bytes(learner.acting))
            create(spec)
            writer = WeightsWriter(spec, learner.acting)
        return Trainee(role, learner, driver, writer, settings)

    def metrics(self, role: str) -> list[dict[str, float]]:
        lines = (self.folder / "metrics.jsonl").read_text().splitlines()
        return [record for line in lines if (record := json.loads(line))["role"] == role]


@pytest.fixture
def build_house(tmp_path: Path) -> Iterator[Callable[..., House]]:
    houses: list[House] = []

    def build_one(**settings: LearnerSettings) -> House:
        houses.append(House(tmp_path, **settings))
        return houses[-1]

    yield build_one
    for house in houses:
        house.log.close()


def test_a_round_trains_and_publishes_every_learner(build_house: Callable[..., House]) -> None:
    house = build_house()
    assert not house.loop.round()
    for number in range(3):
        fill(house.windows, number)
        assert house.loop.round()
    for role, trainee in house.trainees.items():
        figures = house.board.learner(role)
        assert figures["windows"] == 3, role
        assert figures["updates"] == trainee.driver.batches > 0, role
        assert figures["version"] == (0 if role == "decoder" else 3), role
        assert house.metrics(role)[-1]["step"] == trainee.driver.batches
    assert house.board.rounds == 3
    assert len(list((house.folder / "pictures").glob("*.png"))) == 2


def test_unread_windows_are_taken_together_and_counted(build_house: Callable[..., House]) -> None:
    house = build_house()
    for number in range(3):
        fill(house.windows, number)
    house.loop.round()
    assert house.board.learner("policy")["windows"] == 3
    assert house.board.learner("policy")["version"] == 1
    assert [record["step"] for record in house.metrics("agent")] == [0, 1, 2]


def test_an_agent_that_is_gone_ends_the_loop(build_house: Callable[..., House]) -> None:
    build_house().loop.run(wait=lambda: False, on_round=pytest.fail)


def test_a_frozen_learner_is_neither_trained_nor_published_again(
    build_house: Callable[..., House],
) -> None:
    house = build_house(encoder=LearnerSettings(freeze=True))
    fill(house.windows, 0)
    house.loop.round()
    assert house.board.learner("encoder")["updates"] == 0
    assert house.board.learner("encoder")["version"] == 0
    assert house.board.learner("policy")["updates"] > 0


def test_a_budget_ends_a_round_early(build_house: Callable[..., House]) -> None:
    house = build_house(encoder=LearnerSettings(budget_s=1e-9))
    fill(house.windows, 0)
    house.loop.round()
    assert house.board.learner("encoder")["updates"] == 1


def test_the_board_ends_the_loop(build_house: Callable[..., House]) -> None:
    house = build_house()
    waits: list[int] = []

    def wait() -> bool:
        waits.append(1)
        if len(waits) == 2:
            house.board.ask_to_stop()
        return True

    house.loop.run(wait, on_round=pytest.fail)
    assert len(waits) == 2


@pytest.mark.parametrize("role", list(LEARNERS))
def test_warming_up_makes_updates(role: str) -> None:
    learner = build(Learner, LEARNERS[role])
    warm_up(learner, SHAPE, "cpu", "32-true")
    assert learner.n_updates >= 1
