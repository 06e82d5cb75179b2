from __future__ import annotations

import pytest

from agent.worlds.embedded import fixed_timestep
from agent.worlds.embedded.fixed_timestep import FixedTimestep


class WallClock:
    """Stands in for the module `time`; only sleeping moves it."""

    def __init__(self) -> None:
        self.seconds = 50.0

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> WallClock:
    wall = WallClock()
    monkeypatch.setattr(fixed_timestep, "time", wall)
    return wall


@pytest.mark.parametrize("scale", [1.0, 3.0])
def test_steps_keep_to_the_scaled_clock(wall: WallClock, scale: float) -> None:
    steps: list[float] = []
    shown: list[int] = []
    timestep = FixedTimestep(
        lambda: steps.append(wall.seconds), lambda: shown.append(1), scale=scale
    )
    for _ in range(90):
        timestep.tick()
    assert len(steps) == len(shown) == 90
    assert wall.seconds - 50.0 == pytest.approx(3.0 / scale)
    assert timestep.skipped == 0


def test_late_steps_are_not_shown_and_lost_time_is_dropped(wall: WallClock) -> None:
    shown: list[float] = []
    durations = iter([0.05, 0.0, 0.0, 10.0, 0.0])
    timestep = FixedTimestep(
        lambda: wall.sleep(next(durations)), lambda: shown.append(wall.seconds)
    )
    for _ in range(5):
        timestep.tick()
    assert timestep.skipped == 1 and len(shown) == 4
    # The long step starts the clock anew: it is followed by one normal period.
    assert wall.seconds == pytest.approx(50.0 + 3 / 30 + 10.0 + 1 / 30)
