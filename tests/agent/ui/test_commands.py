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
def both(tmp_path: Path, clock: VirtualClock) -> FakeRun:
    run = FakeRun(tmp_path, clock, pause_trainer=True)
    run.begin()
    return run


def test_pause_returns_when_the_loop_is_paused(run: FakeRun) -> None:
    paused: list[bool] = []
    run.on_wait.append(lambda: paused.append(run.pauses.paused))
    assert run.commands.do("pause", "a test") == "Paused: every input is neutral."
    assert paused[-1] and run.commands.state == "paused"
    # The trainer is not paused.
    assert not run.board.pause
    assert run.commands.do("resume", "a test") == "Resumed."
    assert not run.pauses.paused and run.commands.state == "running"
    assert [text for _, text in run.commands.messages] == [
        "Paused: every input is neutral.",
        "Resumed.",
    ]


def test_pause_fails_when_the_loop_does_not_pause_in_time(
    run: FakeRun, clock: VirtualClock
) -> None:
    run.loop_pauses, started = False, clock.now()
    with pytest.raises(NotDoneInTimeError, match="agent is not paused yet"):
        run.commands.do("pause", "a test")
    assert PAUSE_LIMIT_S < clock.now() - started < PAUSE_LIMIT_S + 2
    # The reason stays: the loop will pause when it can.
    assert run.pauses.reasons == (PERSON,)


def test_resume_keeps_other_reasons(run: FakeRun) -> None:
    run.pauses.add("body lost")
    run.commands.do("pause", "a test")
    result = run.commands.do("resume", "a test")
    assert result == "Still paused for another reason: body lost."
    assert run.pauses.paused
    run.commands.do("pause", "a test")
    run.pauses.remove("body lost")
    run.wait(0.0)
    assert run.pauses.paused and run.pauses.reasons == (PERSON,)


def test_trainer_pauses_after_the_agent_where_both_pause(both: FakeRun) -> None:
    order: list[tuple[bool, bool]] = []
    both.on_wait.append(lambda: order.append((both.pauses.paused, both.board.pause)))
    result = both.commands.do("pause", "a test")
    assert result == "Paused: every input is neutral, the trainer is paused."
    # Under lockstep a loop that waits for a round needs the trainer until it pauses.
    assert (False, True) not in order
    assert both.board.paused and both.trainer.woken == 1
    assert both.commands.status()["trainer"]["paused"]
    both.commands.do("resume", "a test")
    assert not both.board.pause and both.trainer.woken == 2


def test_pause_raises_when_the_trainer_does_not_pause(both: FakeRun) -> None:
    both.trainer.pauses = False
    with pytest.raises(NotDoneInTimeError, match="agent is paused, but the trainer is not yet"):
        both.commands.do("pause", "a test")
    assert both.pauses.paused and both.board.pause


@pytest.mark.parametrize("ready, alive", [(True, False), (False, True)])
def test_missing_trainer_blocks_no_pause(both: FakeRun, ready: bool, alive: bool) -> None:
    both.trainer.pauses = False
    both.board.ready = ready
    both.commands.trainer_alive = alive
    assert both.commands.do("pause", "a test").endswith("no trainer is running.")
    # A new trainer will find the request.
    assert both.board.pause


def test_save_returns_when_the_checkpoint_is_on_disk(run: FakeRun, tmp_path: Path) -> None:
    result = run.commands.do("save", "a test")
    assert str(tmp_path / "checkpoints") in result
    assert run.board.saved(1) and run.trainer.woken == 1


def test_save_works_in_a_pause(both: FakeRun) -> None:
    both.commands.do("pause", "a test")
    assert "Saved" in both.commands.do("save", "a test")
    assert both.pauses.paused and both.board.paused


def test_failed_save_raises(run: FakeRun) -> None:
    run.trainer.saves = False
    with pytest.raises(CommandFailed, match=r"nothing was saved: see .*trainer\.log"):
        run.commands.do("save", "a test")


def test_save_raises_when_it_takes_too_long(run: FakeRun, clock: VirtualClock) -> None:
    run.trainer.saves, started = None, clock.now()
    with pytest.raises(NotDoneInTimeError, match="has not saved yet"):
        run.commands.do("save", "a test")
    assert SAVE_LIMIT_S < clock.now() - started < SAVE_LIMIT_S + 2


def test_save_raises_without_a_trainer(run: FakeRun) -> None:
    run.commands.trainer_alive = False
    with pytest.raises(CommandFailed, match="no trainer is running"):
        run.commands.do("save", "a test")
    run.commands.trainer_alive, run.trainer.saves = True, None
    run.on_wait.append(lambda: setattr(run.commands, "trainer_alive", False))
    with pytest.raises(CommandFailed, match="nothing was saved"):
        run.commands.do("save", "a test")


def test_stop_returns_at_once_and_ends_all_waits(run: FakeRun) -> None:
    run.trainer.saves = None
    run.on_wait.append(lambda: run.commands.do("stop", "key q") and None)
    with pytest.raises(CommandFailed, match="the run is ending"):
        run.commands.do("save", "a test")
    assert run.stop.reason == "key q" and run.commands.state == "stopping"
    with pytest.raises(CommandFailed, match="the run is ending"):
        run.commands.do("pause", "a test")
    assert run.commands.do("stop", "another") == "Stopping." and run.stop.reason == "key q"


def test_status_contains_the_summary(run: FakeRun, clock: VirtualClock) -> None:
    clock.advance(12.0)
    run.board.heartbeat = clock.now() - 3.0
    run.commands.notify("something happened")
    status, summary = run.commands.status(), run.commands.summary()
    json.dumps(status, allow_nan=False)
    assert {key: status[key] for key in summary} == summary
    assert set(summary) < set(status)
    assert set(run.commands.source.summary()) < set(summary)  # type: ignore[union-attr]
    assert status["state"] == "running" and status["uptime_s"] == 12.0
    assert status["trainer_restarts"] == 2
    assert status["trainer"] == {
        "alive": True,
        "ready": True,
        "paused": False,
        "heartbeat_age_s": 3.0,
    }
    assert [entry["text"] for entry in status["messages"]] == ["something happened"]
    ended = run.commands.summary("key q", 0)
    assert (ended["ended"], ended["exit_code"]) == ("key q", 0)


def test_state_is_starting_before_the_first_tick(tmp_path: Path, clock: VirtualClock) -> None:
    status = FakeRun(tmp_path, clock).commands.status()
    assert status["state"] == "starting" and "ticks" not in status
