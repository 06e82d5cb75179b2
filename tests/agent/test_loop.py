from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from agent.clock import LockstepClock
from agent.loop import Loop
from pamiq_lightning.exchange.windows import WindowsReader, WindowsSpec, WindowsWriter
from tests.conftest import VirtualClock
from tests.samples import SHAPE, arrays


class FakeWorld:
    """Takes `costs[tick]` seconds to look at, and can go blind."""

    info_names = ("x",)

    def __init__(self, clock: VirtualClock) -> None:
        self.clock, self.costs, self.blind_at = clock, {}, set[int]()
        self.looks, self.actions, self.blind = 0, [], None

    def observe(self) -> tuple[np.ndarray, np.ndarray]:
        self.clock.advance(self.costs.get(self.looks, 0.0))
        self.blind = "dark" if self.looks in self.blind_at else None
        self.looks += 1
        return np.zeros((3, 24, 24), np.uint8), np.float32([self.looks])

    def act(self, action: np.ndarray) -> None:
        self.actions.append(action)

    def rest(self) -> None: ...

    def close(self) -> None: ...


class FakeMind:
    """Returns sound rows; the first after a reset is_first."""

    def __init__(self) -> None:
        self.fresh, self.taken = True, []

    def act(self, frame: np.ndarray) -> np.ndarray:
        return np.zeros(5, np.int64)

    def reflect(self) -> dict[str, np.ndarray]:
        row = {key: values[0] for key, values in arrays(1).items()}
        row["is_first"], self.fresh = np.bool_(self.fresh), False
        return row

    def take_weights(self, max_bytes: int | None) -> None:
        self.taken.append(max_bytes)

    def reset(self) -> None:
        self.fresh = True


class Life:
    """A loop with all around it made up."""

    def __init__(self, folder: Path, clock: VirtualClock, rows: int = 8) -> None:
        self.clock, self.world, self.mind = clock, FakeWorld(clock), FakeMind()
        spec = WindowsSpec(folder / "windows", SHAPE, rows)
        writer = WindowsWriter(spec)
        self.reader, self.windows = WindowsReader(spec), 0
        self.loop = Loop(self.world, self.mind, writer, clock, 10.0, self.on_window)

    def on_window(self) -> None:
        self.windows += 1

    def steps(self) -> dict[str, np.ndarray]:
        parts = []
        while (window := self.reader.read()) is not None:
            parts.append(window.steps)
        return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}


@pytest.fixture
def life(tmp_path: Path, clock: VirtualClock) -> Life:
    return Life(tmp_path, clock)


def never() -> bool:
    return False


def test_deadlines_do_not_drift(life: Life) -> None:
    start = life.clock.now()
    life.world.costs = dict.fromkeys(range(100), 0.037)
    life.loop.run(never, max_ticks=100)
    figures = life.loop.figures
    assert (figures.ticks, figures.missed) == (100, 0)
    # The 100th tick is due at 100 periods; what ticks cost does not add up.
    assert life.clock.now() == pytest.approx(start + 10.0 + 0.037)


def test_an_overrun_is_followed_by_one_tick_at_once_and_its_slots_are_missed(life: Life) -> None:
    life.world.costs = {3: 0.55}
    life.loop.run(never, max_ticks=10)
    steps = life.steps()
    gaps = np.diff(steps["time"]).round(3)
    # Tick 3 begins in slot 4 and ends half-way through slot 9, which is entered at once.
    assert gaps.tolist()[:5] == [0.1, 0.1, 0.1, 0.55, 0.05]
    # Slots 5 to 8 were skipped, the one at 9 was half a period late.
    assert life.loop.figures.missed == 5


def test_a_long_stall_is_a_gap(life: Life) -> None:
    life.world.costs = {3: 5.0}
    life.loop.run(never, max_ticks=8)
    steps = life.steps()
    # Tick 3 ended 5 s later, as its 50th slot after it began: 49 slots were skipped.
    assert steps["index"].tolist() == [0, 1, 2, 3, 53, 54, 55, 56]
    assert steps["is_first"].tolist() == [True, *3 * [False], True, *3 * [False]]


def test_windows_are_handed_over_and_indices_never_reused(life: Life) -> None:
    life.loop.run(never, max_ticks=20)
    assert life.windows == 2
    steps = life.steps()
    assert steps["index"].tolist() == list(range(16))
    assert steps["is_first"].tolist() == [True] + 15 * [False]
    assert steps["valid"].all()
    assert steps["info"][:, 0].tolist() == list(range(1, 17))


def test_blind_steps_are_marked_and_sight_begins_anew(life: Life) -> None:
    life.world.blind_at = {4, 5}
    life.loop.run(never, max_ticks=8)
    steps = life.steps()
    assert steps["valid"].tolist() == [True] * 4 + [False] * 2 + [True] * 2
    assert steps["is_first"].tolist() == [True, *[False] * 5, True, False]


@pytest.mark.parametrize("seconds, ticks", [(0.95, 10), (2.0, 20)])
def test_lives_for_so_many_seconds(life: Life, seconds: float, ticks: int) -> None:
    life.loop.run(never, max_seconds=seconds)
    assert life.loop.figures.ticks == ticks


def test_stops_before_the_next_tick(life: Life) -> None:
    def stopped() -> bool:
        return life.loop.figures.ticks == 7

    life.loop.run(stopped)
    assert life.loop.figures.ticks == 7


def test_weights_are_taken_after_every_tick(life: Life) -> None:
    life.loop.run(never, max_ticks=3)
    assert len(life.mind.taken) == 3
    assert all(budget is not None for budget in life.mind.taken)


def test_lockstep_never_waits_and_never_misses(tmp_path: Path, clock: VirtualClock) -> None:
    spec = WindowsSpec(tmp_path / "windows", SHAPE, 8)
    lockstep, mind = LockstepClock(0.1), FakeMind()
    on_window: Callable[[], None] = lambda: None  # noqa: E731
    world = FakeWorld(clock)
    loop = Loop(world, mind, WindowsWriter(spec), lockstep, 10.0, on_window, weight_bytes=None)
    loop.run(never, max_ticks=50)
    assert (loop.figures.ticks, loop.figures.missed) == (50, 0)
    assert lockstep.now() == pytest.approx(5.0)
    assert mind.taken == [None] * 50
