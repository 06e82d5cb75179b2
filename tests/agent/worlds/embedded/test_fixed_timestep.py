from __future__ import annotations

import pytest

from agent.worlds.embedded import fixed_timestep
from agent.worlds.embedded.fixed_timestep import FixedTimestep
from tests.agent.test_clock import Wall


@pytest.mark.parametrize("scale", [1.0, 3.0])
def test_steps_keep_to_the_scaled_clock(monkeypatch: pytest.MonkeyPatch, scale: float) -> None:
    wall, steps, shown = Wall(), [], []
    monkeypatch.setattr(fixed_timestep, "time", wall)
    made = FixedTimestep(lambda: steps.append(wall.seconds), lambda: shown.append(1), scale=scale)
    for _ in range(90):
        made.tick()
    assert len(steps) == len(shown) == 90
    assert wall.seconds - 50.0 == pytest.approx(3.0 / scale)
    assert made.skipped == 0
