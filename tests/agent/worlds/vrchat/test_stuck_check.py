from __future__ import annotations

from math import nan

from agent.worlds.vrchat.stuck_check import StuckCheck


def run(
    stuck_check: StuckCheck, seconds: float, walking: bool, speed: float, start: float = 0.0
) -> None:
    for tick in range(round(seconds * 10)):
        stuck_check.watch(walking, speed, start + tick / 10)


def test_commanded_but_not_moving_for_five_seconds_is_stuck() -> None:
    stuck_check = StuckCheck()
    run(stuck_check, 4.9, walking=True, speed=0.0)
    assert stuck_check.problem is None
    run(stuck_check, 1.0, walking=True, speed=0.0, start=4.9)
    assert stuck_check.problem is not None
    assert stuck_check.problem.startswith("commanded but not moving")
    assert stuck_check.stuck_count == 1
    stuck_check.watch(True, 2.0, 6.0)
    assert stuck_check.problem is None


def test_avatar_that_pauses_now_and_then_is_stuck() -> None:
    stuck_check = StuckCheck()
    for tick in range(120):
        stuck_check.watch(tick % 2 == 0, 0.0, tick / 10)
    assert stuck_check.stuck_count == 1


def test_moving_without_command_is_drifting() -> None:
    stuck_check = StuckCheck()
    run(stuck_check, 3, walking=False, speed=1.5)
    assert stuck_check.problem is not None
    assert stuck_check.problem.startswith("moving but not commanded")
    assert stuck_check.drift_count == 1


def test_walking_standing_and_unknown_speed_are_no_problem() -> None:
    for walking, speed in ((True, 3.0), (False, 0.0), (True, nan), (False, nan)):
        stuck_check = StuckCheck()
        run(stuck_check, 20, walking, speed)
        assert stuck_check.problem is None


def test_reset_forgets_the_past() -> None:
    stuck_check = StuckCheck()
    run(stuck_check, 4.5, walking=True, speed=0.0)
    stuck_check.reset()
    run(stuck_check, 4.5, walking=True, speed=0.0, start=60.0)
    assert stuck_check.problem is None
