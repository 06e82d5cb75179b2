from __future__ import annotations

import json
from pathlib import Path

import pytest

from agent.pause import PERSON
from agent.ui.commands import PAUSE_LIMIT_S, SAVE_LIMIT_S, CommandFailed, NotDoneInTimeError
from tests.agent.lifecycle.run_fixture import FakeRun
from tests.conftest import VirtualClock


@pytest.fixture
def run(tmp_path: Path, clock: VirtualClock) -> FakeRun:
    run = FakeRun(tmp_path, clock)
    run.begin()
    return run


@pytest.fixture
def whole(tmp_path: Path, clock: VirtualClock) -> FakeRun:
    run = FakeRun(tmp_path, clock, pause_trainer=True)
    run.begin()
    return run


def test_pause_is_answered_when_the_loop_stands_still(run: FakeRun) -> None:
    standing: list[bool] = []
    run.waits.append(lambda: standing.append(run.pauses.paused))
    assert run.controls.do("pause", "a test") == "Paused: every input is neutral."
    assert standing[-1] and run.controls.state == "paused"
    # The trainer learns on.
    assert not run.board.pause
    assert run.controls.do("resume", "a test") == "Goes on."
    assert not run.pauses.paused and run.controls.state == "running"
    assert [text for _, text in run.controls.told] == [
        "Paused: every input is neutral.",
        "Goes on.",
    ]


def test_a_loop_that_does_not_stand_still_is_no_pause(run: FakeRun, clock: VirtualClock) -> None:
    run.loops, begun = False, clock.now()
    with pytest.raises(NotDoneInTimeError, match="does not stand still yet"):
        run.controls.do("pause", "a test")
    assert PAUSE_LIMIT_S < clock.now() - begun < PAUSE_LIMIT_S + 2
    # The reason stands: it will pause when it can.
    assert run.pauses.reasons == (PERSON,)


def test_resume_ends_no_other_reason(run: FakeRun) -> None:
    run.pauses.add("body lost")
    run.controls.do("pause", "a test")
    told = run.controls.do("resume", "a test")
    assert told == "Still paused, for another reason: body lost."
    assert run.pauses.paused
    run.controls.do("pause", "a test")
    run.pauses.remove("body lost")
    run.wait(0.0)
    assert run.pauses.paused and run.pauses.reasons == (PERSON,)


def test_where_all_pause_the_trainer_stands_still_after_the_agent(whole: FakeRun) -> None:
    order: list[tuple[bool, bool]] = []
    whole.waits.append(lambda: order.append((whole.pauses.paused, whole.board.pause)))
    told = whole.controls.do("pause", "a test")
    assert told == "Paused: every input is neutral, the trainer stands still."
    # Under lockstep a loop that waits for a round needs the trainer until it stands.
    assert (False, True) not in order
    assert whole.board.paused and whole.trainer.woken == 1
    assert whole.controls.status()["trainer"]["standing_still"]
    whole.controls.do("resume", "a test")
    assert not whole.board.pause and whole.trainer.woken == 2


def test_a_trainer_that_computes_on_is_told(whole: FakeRun) -> None:
    whole.trainer.obeys = False
    with pytest.raises(NotDoneInTimeError, match="agent is paused, but the trainer"):
        whole.controls.do("pause", "a test")
    assert whole.pauses.paused and whole.board.pause


@pytest.mark.parametrize("ready, lives", [(True, False), (False, True)])
def test_a_trainer_that_is_not_there_blocks_no_pause(
    whole: FakeRun, ready: bool, lives: bool
) -> None:
    whole.trainer.obeys = False
    whole.board.set_ready(ready)
    whole.controls.trainer_lives = lives
    assert whole.controls.do("pause", "a test").endswith("there is no trainer at work.")
    # Should another one come, it finds the word.
    assert whole.board.pause


def test_save_is_answered_when_it_is_on_disk(run: FakeRun, tmp_path: Path) -> None:
    told = run.controls.do("save", "a test")
    assert str(tmp_path / "checkpoints") in told
    assert run.board.saved(1) and run.trainer.woken == 1


def test_a_save_can_be_made_in_a_pause(whole: FakeRun) -> None:
    whole.controls.do("pause", "a test")
    assert "Saved" in whole.controls.do("save", "a test")
    assert whole.pauses.paused and whole.board.paused


def test_a_save_that_fails_is_an_error(run: FakeRun) -> None:
    run.trainer.saves = False
    with pytest.raises(CommandFailed, match=r"nothing was saved: see .*trainer\.log"):
        run.controls.do("save", "a test")


def test_a_save_that_takes_too_long_is_an_error(run: FakeRun, clock: VirtualClock) -> None:
    run.trainer.saves, begun = None, clock.now()
    with pytest.raises(NotDoneInTimeError, match="has not saved yet"):
        run.controls.do("save", "a test")
    assert SAVE_LIMIT_S < clock.now() - begun < SAVE_LIMIT_S + 2


def test_no_save_without_a_trainer(run: FakeRun) -> None:
    run.controls.trainer_lives = False
    with pytest.raises(CommandFailed, match="no trainer at work"):
        run.controls.do("save", "a test")
    run.controls.trainer_lives, run.trainer.saves = True, None
    run.waits.append(lambda: setattr(run.controls, "trainer_lives", False))
    with pytest.raises(CommandFailed, match="nothing was saved"):
        run.controls.do("save", "a test")


def test_a_stop_is_accepted_at_once_and_ends_all_waiting(run: FakeRun) -> None:
    run.trainer.saves = None
    run.waits.append(lambda: run.controls.do("stop", "key q") and None)
    with pytest.raises(CommandFailed, match="the run is ending"):
        run.controls.do("save", "a test")
    assert run.stop.reason == "key q" and run.controls.state == "stopping"
    with pytest.raises(CommandFailed, match="the run is ending"):
        run.controls.do("pause", "a test")
    assert run.controls.do("stop", "another") == "Stopping." and run.stop.reason == "key q"


def test_the_status_is_the_summary_and_more(run: FakeRun, clock: VirtualClock) -> None:
    clock.advance(12.0)
    run.board.beat(clock.now() - 3.0)
    run.controls.notify("something happened")
    status, summary = run.controls.status(), run.controls.summary()
    json.dumps(status, allow_nan=False)
    assert {key: status[key] for key in summary} == summary
    assert set(summary) < set(status)
    assert set(run.controls.source.summary()) < set(summary)  # type: ignore[union-attr]
    assert status["state"] == "running" and status["uptime_s"] == 12.0
    assert status["trainer_restarts"] == 2
    assert status["trainer"] == {
        "alive": True,
        "ready": True,
        "standing_still": False,
        "silent_s": 3.0,
    }
    assert [entry["text"] for entry in status["told"]] == ["something happened"]
    ended = run.controls.summary("key q", 0)
    assert (ended["ended"], ended["exit_code"]) == ("key q", 0)


def test_before_the_first_tick_it_is_starting(tmp_path: Path, clock: VirtualClock) -> None:
    status = FakeRun(tmp_path, clock).controls.status()
    assert status["state"] == "starting" and "ticks" not in status
