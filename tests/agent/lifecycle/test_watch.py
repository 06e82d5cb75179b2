from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from agent.lifecycle import watch
from agent.lifecycle.watch import ProcessWatch
from pamiq_lightning.utils.outage import REPEAT_EVERY_S
from tests.agent.lifecycle.run_fixture import FakeRun
from tests.conftest import VirtualClock


class FakeProcess:
    """A process that has one message for whoever watches it."""

    alive = False

    def watch(self, board: Any, now: float) -> str | None:
        return "the process ended"


@pytest.fixture
def run(tmp_path: Path, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch) -> FakeRun:
    monkeypatch.setattr(watch.time, "monotonic", clock.now)
    return FakeRun(tmp_path, clock)


def process_watch(run: FakeRun, lockstep: bool) -> ProcessWatch:
    return ProcessWatch(FakeProcess(), None, run.board, run.commands, lockstep)  # type: ignore[arg-type]


@pytest.mark.parametrize("lockstep", [False, True])
def test_trainer_is_replaced_except_under_lockstep(run: FakeRun, lockstep: bool) -> None:
    process_watch(run, lockstep)()
    assert not run.commands.trainer_alive
    assert bool(run.commands.messages) is not lockstep


def test_the_trainers_messages_reach_the_person_once(run: FakeRun) -> None:
    look = process_watch(run, lockstep=True)
    run.board.post("no checkpoint can be saved")
    look()
    run.board.post("checkpoints are saved again")
    for _ in range(3):
        look()
    texts = [text for _, text in run.commands.messages]
    assert texts == ["no checkpoint can be saved", "checkpoints are saved again"]


def test_run_stops_and_replaces_nothing_when_its_folder_is_gone(run: FakeRun) -> None:
    look = process_watch(run, lockstep=False)
    look.in_place = lambda: False
    for _ in range(3):
        look()
    assert run.stop.reason == watch.FOLDER_GONE
    assert len(run.commands.messages) == 1


def test_rewards_that_are_not_finite_are_reported_once_a_minute(run: FakeRun) -> None:
    look = process_watch(run, lockstep=True)
    run.begin()
    source = run.commands.source
    assert source is not None
    for _ in range(3):
        source.metrics.reward.add(math.nan)
        look()
    run.clock.advance(REPEAT_EVERY_S)
    look()
    look()
    texts = [text for _, text in run.commands.messages]
    assert [text.partition(";")[0] for text in texts] == [
        "rewards that are not finite so far: 1",
        "rewards that are not finite so far: 3",
    ]
