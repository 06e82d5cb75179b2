from __future__ import annotations

import pytest

from agent import clock
from agent.clock import LockstepClock, RealClock, make_clock


class FakeTime:
    """Stands in for the module `time`."""

    def __init__(self) -> None:
        self.seconds = 50.0

    def monotonic(self) -> float:
        return self.seconds

    def clock_gettime(self, number: int) -> float:
        # What this stands for is that the clock was read by its number.
        return self.seconds + 1000.0

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> FakeTime:
    wall = FakeTime()
    monkeypatch.setattr(clock, "time", wall)
    return wall


@pytest.mark.parametrize("scale", [0.5, 1.0, 4.0])
def test_real_clock_scales_seconds(wall: FakeTime, scale: float) -> None:
    made = make_clock("real", 10.0, scale)
    begun = made.now()
    made.sleep_until(begun + 2.0, lambda: False)
    assert made.now() - begun == pytest.approx(2.0)
    assert wall.seconds - 50.0 == pytest.approx(2.0 / scale)


def test_stop_ends_the_sleep(wall: FakeTime) -> None:
    RealClock().sleep_until(1e9, lambda: wall.seconds > 51.0)
    assert wall.seconds == pytest.approx(51.0, abs=0.05)


def test_lockstep_clock_is_at_the_deadline_at_once() -> None:
    made = make_clock("lockstep", 10.0, 1.0)
    assert isinstance(made, LockstepClock)
    made.sleep_until(12.3, lambda: False)
    assert made.now() == pytest.approx(12.3)


def test_real_clock_advances_while_the_machine_is_suspended(
    wall: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "_BOOT_CLOCK", 7)
    assert RealClock().now() == 1050.0
    # Where there is no such clock, the usual one.
    monkeypatch.setattr(clock, "_BOOT_CLOCK", None)
    assert RealClock().now() == 50.0
