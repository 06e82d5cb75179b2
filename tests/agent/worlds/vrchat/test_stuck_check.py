from __future__ import annotations

from math import nan

from agent.worlds.vrchat.stuck_check import Motion


def live(motion: Motion, seconds: float, walking: bool, speed: float, start: float = 0.0) -> None:
    for tick in range(round(seconds * 10)):
        motion.watch(walking, speed, start + tick / 10)


def test_commanded_but_not_moving_for_five_seconds_is_stuck() -> None:
    motion = Motion()
    live(motion, 4.9, walking=True, speed=0.0)
    assert motion.strange is None
    live(motion, 1.0, walking=True, speed=0.0, start=4.9)
    assert motion.strange is not None
    assert motion.strange.startswith("commanded but not moving")
    assert motion.stuck_count == 1
    motion.watch(True, 2.0, 6.0)
    assert motion.strange is None


def test_a_body_that_rests_now_and_then_is_stuck_all_the_same() -> None:
    motion = Motion()
    for tick in range(120):
        motion.watch(tick % 2 == 0, 0.0, tick / 10)
    assert motion.stuck_count == 1


def test_moving_but_not_commanded_is_noticed() -> None:
    motion = Motion()
    live(motion, 3, walking=False, speed=1.5)
    assert motion.strange is not None
    assert motion.strange.startswith("moving but not commanded")
    assert motion.drift_count == 1


def test_walking_standing_and_an_unknown_speed_are_not_strange() -> None:
    for walking, speed in ((True, 3.0), (False, 0.0), (True, nan), (False, nan)):
        motion = Motion()
        live(motion, 20, walking, speed)
        assert motion.strange is None


def test_a_rest_forgets_the_past() -> None:
    motion = Motion()
    live(motion, 4.5, walking=True, speed=0.0)
    motion.rest()
    live(motion, 4.5, walking=True, speed=0.0, start=60.0)
    assert motion.strange is None
