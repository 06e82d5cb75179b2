from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from agent.clock import LockstepClock
from agent.loop import Loop
from agent.pause import PERSON, Pauses
from pamiq_lightning.exchange.rollouts import RolloutReader, RolloutsSpec, RolloutWriter
from tests.conftest import VirtualClock
from tests.synthetic import SHAPE, arrays


class FakeWorld:
    """Takes `costs[tick]` seconds to observe, and can give invalid frames."""

    info_names = ("x",)

    def __init__(self, clock: VirtualClock) -> None:
        self.clock, self.costs, self.invalid_at = clock, {}, set[int]()
        self.observed, self.actions, self.invalid_reason = 0, [], None
        self.events: list[tuple[str, float]] = []

    def observe(self) -> tuple[np.ndarray, np.ndarray]:
        self.clock.advance(self.costs.get(self.observed, 0.0))
        self.invalid_reason = "dark" if self.observed in self.invalid_at else None
        self.observed += 1
        return np.zeros((3, 24, 24), np.uint8), np.float32([self.observed])

    def act(self, action: np.ndarray) -> None:
        self.actions.append(action)
        self.events.append(("act", self.clock.now()))

    def release_inputs(self) -> None:
        self.events.append(("release", self.clock.now()))

    def close(self) -> None: ...


class FakeActor:
    """Returns valid rows; the first after a reset is_first."""

    def __init__(self) -> None:
        self.fresh, self.taken = True, []
        self.chunks, self.on_chunk = 0, lambda: None

    def act(self, frame: np.ndarray) -> np.ndarray:
        return np.zeros(5, np.int64)

    def finish_step(self, info: np.ndarray, valid: bool) -> dict[str, np.ndarray]:
        row = {key: values[0] for key, values in arrays(1).items()}
        row["is_first"], self.fresh = np.bool_(self.fresh), False
        row["info"] = info
        return row

    def poll_weights(self, max_bytes: int | None) -> bool:
        self.taken.append(max_bytes)
        self.on_chunk()
        self.chunks -= 1
        return self.chunks > 0

    def reset(self) -> None:
        self.fresh = True


class LoopFixture:
    """A loop with a fake world and a fake actor."""

    def __init__(
        self, folder: Path, clock: VirtualClock, rows: int = 8, pauses: Pauses | None = None
    ) -> None:
        self.clock, self.world, self.actor = clock, FakeWorld(clock), FakeActor()
        if isinstance(pauses, RecordedPauses):
            # One list, so that it shows what came before what.
            pauses.events = self.world.events
        spec = RolloutsSpec(folder / "rollouts", SHAPE, rows)
        writer = RolloutWriter(spec)
        self.reader, self.rollouts = RolloutReader(spec), 0
        self.loop = Loop(
            self.world, self.actor, writer, clock, 10.0, self.on_rollout, pauses=pauses
        )

    def on_rollout(self) -> None:
        self.rollouts += 1

    def steps(self) -> dict[str, np.ndarray]:
        parts = []
        while (rollout := self.reader.read()) is not None:
            parts.append(rollout.steps)
        return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}


@pytest.fixture
def fixture(tmp_path: Path, clock: VirtualClock) -> LoopFixture:
    return LoopFixture(tmp_path, clock)


def never() -> bool:
    return False


def test_deadlines_do_not_drift(fixture: LoopFixture) -> None:
    start = fixture.clock.now()
    fixture.world.costs = dict.fromkeys(range(100), 0.037)
    fixture.loop.run(never, max_ticks=100)
    metrics = fixture.loop.metrics
    assert (metrics.ticks, metrics.missed) == (100, 0)
    # The 100th tick is due at 100 periods; what ticks cost does not add up.
    assert fixture.clock.now() == pytest.approx(start + 10.0 + 0.037)


def test_overrun_is_followed_by_one_tick_at_once_and_its_slots_are_missed(
    fixture: LoopFixture,
) -> None:
    fixture.world.costs = {3: 0.55}
    fixture.loop.run(never, max_ticks=10)
    steps = fixture.steps()
    gaps = np.diff(steps["time"]).round(3)
    # Tick 3 begins in slot 4 and ends half-way through slot 9, which is entered at once.
    assert gaps.tolist()[:5] == [0.1, 0.1, 0.1, 0.55, 0.05]
    # Slots 5 to 8 were skipped, the one at 9 was half a period late.
    assert fixture.loop.metrics.missed == 5


def test_long_stall_is_a_gap(fixture: LoopFixture) -> None:
    fixture.world.costs = {3: 5.0}
    fixture.loop.run(never, max_ticks=8)
    steps = fixture.steps()
    # Tick 3 ended 5 s later, as its 50th slot after it began: 49 slots were skipped.
    assert steps["index"].tolist() == [0, 1, 2, 3, 53, 54, 55, 56]
    assert steps["is_first"].tolist() == [True, *3 * [False], True, *3 * [False]]


def test_full_rollouts_are_committed_and_indices_never_reused(fixture: LoopFixture) -> None:
    fixture.loop.run(never, max_ticks=20)
    assert fixture.rollouts == 2
    steps = fixture.steps()
    assert steps["index"].tolist() == list(range(16))
    assert steps["is_first"].tolist() == [True] + 15 * [False]
    assert steps["valid"].all()
    assert steps["info"][:, 0].tolist() == list(range(1, 17))


def test_invalid_steps_are_marked_and_the_next_valid_one_is_a_first(fixture: LoopFixture) -> None:
    fixture.world.invalid_at = {4, 5}
    fixture.loop.run(never, max_ticks=8)
    steps = fixture.steps()
    assert steps["valid"].tolist() == [True] * 4 + [False] * 2 + [True] * 2
    assert steps["is_first"].tolist() == [True, *[False] * 5, True, False]


@pytest.mark.parametrize("seconds, ticks", [(0.95, 10), (2.0, 20)])
def test_run_ends_after_max_seconds(fixture: LoopFixture, seconds: float, ticks: int) -> None:
    fixture.loop.run(never, max_seconds=seconds)
    assert fixture.loop.metrics.ticks == ticks


def test_run_stops_before_the_next_tick(fixture: LoopFixture) -> None:
    def stopped() -> bool:
        return fixture.loop.metrics.ticks == 7

    fixture.loop.run(stopped)
    assert fixture.loop.metrics.ticks == 7


def test_new_weights_are_copied_in_the_slack_and_lengthen_no_tick(fixture: LoopFixture) -> None:
    fixture.actor.chunks = 100
    fixture.actor.on_chunk = lambda: fixture.clock.advance(0.004)
    fixture.loop.run(lambda: False, max_ticks=20)
    # From the tick's end to half a period before the next: 13 chunks of 4 ms, then the next tick.
    assert fixture.loop.metrics.missed == 0
    assert fixture.loop.metrics.tick_ms.largest == 0
    assert fixture.actor.chunks <= 0
    assert len(fixture.actor.taken) == 100 + 20 - -(-100 // 13)


def test_one_chunk_is_copied_even_without_slack(fixture: LoopFixture) -> None:
    fixture.actor.chunks = 100
    fixture.world.costs = dict.fromkeys(range(20), 0.09)
    fixture.loop.run(lambda: False, max_ticks=20)
    assert len(fixture.actor.taken) == 20


def test_weights_are_polled_after_every_tick(fixture: LoopFixture) -> None:
    fixture.loop.run(never, max_ticks=3)
    assert len(fixture.actor.taken) == 3
    assert all(budget is not None for budget in fixture.actor.taken)


def test_lockstep_never_waits_and_never_misses(tmp_path: Path, clock: VirtualClock) -> None:
    spec = RolloutsSpec(tmp_path / "rollouts", SHAPE, 8)
    lockstep, actor = LockstepClock(0.1), FakeActor()
    on_rollout: Callable[[], None] = lambda: None  # noqa: E731
    world = FakeWorld(clock)
    loop = Loop(world, actor, RolloutWriter(spec), lockstep, 10.0, on_rollout, chunk_bytes=None)
    loop.run(never, max_ticks=50)
    assert (loop.metrics.ticks, loop.metrics.missed) == (50, 0)
    assert lockstep.now() == pytest.approx(5.0)
    assert actor.taken == [None] * 50


class Script(VirtualClock):
    """A clock with a script: each event comes at its time, while the loop waits or computes."""

    def __init__(self) -> None:
        super().__init__()
        self.plan: list[tuple[float, Callable[[], None]]] = []

    def at(self, time: float, event: Callable[[], None]) -> None:
        self.plan = sorted([*self.plan, (time, event)], key=lambda entry: entry[0])

    def advance(self, seconds: float) -> None:
        self._go_to(self.time + seconds)

    def sleep_until(self, deadline: float, stopped: Callable[[], bool]) -> None:
        while not stopped() and self.plan and self.plan[0][0] <= deadline:
            self._go_to(max(self.time, self.plan[0][0]))
        if not stopped():
            self._go_to(max(self.time, deadline))

    def _go_to(self, time: float) -> None:
        while self.plan and self.plan[0][0] <= time:
            due, event = self.plan.pop(0)
            self.time = max(self.time, due)
            event()
        self.time = max(self.time, time)


class RecordedPauses(Pauses):
    """Records when the loop pauses and when it resumes."""

    def __init__(self, script: Script) -> None:
        super().__init__(script.advance)
        self.script, self.spans = script, []
        self.events: list[tuple[str, float]] = []

    def confirm(self, paused: bool) -> None:
        super().confirm(paused)
        self.events.append(("paused" if paused else "resumed", self.script.now()))
        if paused:
            self.spans.append([self.script.now(), float("inf")])
        else:
            self.spans[-1][1] = self.script.now()


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def paused(tmp_path: Path, script: Script) -> LoopFixture:
    return LoopFixture(tmp_path, script, pauses=RecordedPauses(script))


def test_pause_releases_inputs_first_and_the_next_row_is_a_first(
    paused: LoopFixture, script: Script
) -> None:
    pauses, start = paused.loop.pauses, script.now()
    script.at(start + 0.45, lambda: pauses.add(PERSON))
    script.at(start + 3.2, lambda: pauses.remove(PERSON))
    paused.loop.run(never, max_ticks=8)
    ((began, ended),) = pauses.spans
    assert (began, ended) == (pytest.approx(start + 0.45), pytest.approx(start + 3.2, abs=0.03))
    # Neutral at once, and repeatedly while it lasts: the network may have lost it.
    releases = [time for event, time in paused.world.events if event == "release"]
    assert releases[0] == began and len(releases) == 6
    assert max(np.diff(releases)) < 0.53
    steps = paused.steps()
    assert steps["is_first"].tolist() == [True, *3 * [False], True, *3 * [False]]
    assert steps["index"].tolist() == list(range(8))
    # No tick is late for it, and the time that it took is left out.
    metrics = paused.loop.metrics
    assert metrics.missed == 0
    assert metrics.paused_s == pytest.approx(ended - began)
    assert metrics.rate_hz(metrics.last_end) == pytest.approx(8 / 0.7)


def test_removing_one_reason_does_not_end_the_pause_of_another(
    paused: LoopFixture, script: Script
) -> None:
    pauses, start = paused.loop.pauses, script.now()
    for time, change in (
        (0.35, lambda: pauses.add(PERSON)),
        (1.0, lambda: pauses.add("save")),
        (2.0, lambda: pauses.remove("save")),
        (3.0, lambda: pauses.add("body lost")),
        (4.0, lambda: pauses.remove(PERSON)),
        (5.0, lambda: pauses.remove("body lost")),
    ):
        script.at(start + time, change)
    paused.loop.run(never, max_ticks=8)
    ((began, ended),) = pauses.spans
    assert (began, ended) == (pytest.approx(start + 0.35), pytest.approx(start + 5.0, abs=0.03))
    assert pauses.count == 1 and not pauses.paused


def test_stop_ends_a_pause(paused: LoopFixture, script: Script) -> None:
    stop: list[bool] = []
    script.at(script.now() + 0.35, lambda: paused.loop.pauses.add(PERSON))
    script.at(script.now() + 9.0, lambda: stop.append(True))
    paused.loop.run(lambda: bool(stop))
    assert paused.loop.metrics.ticks == 3
    assert script.now() == pytest.approx(109.0, abs=0.03)


def test_max_seconds_excludes_pauses(paused: LoopFixture, script: Script) -> None:
    script.at(script.now() + 0.55, lambda: paused.loop.pauses.add(PERSON))
    script.at(script.now() + 60.0, lambda: paused.loop.pauses.remove(PERSON))
    paused.loop.run(never, max_seconds=2.0)
    assert paused.loop.metrics.ticks == 20


def test_hundred_pauses_at_random_times_lose_no_step(tmp_path: Path, script: Script) -> None:
    """Never a missed neutral, never a lost step, no gap without is_first."""
    random = np.random.default_rng(0)
    pauses = RecordedPauses(script)
    fixture = LoopFixture(tmp_path, script, rows=1, pauses=pauses)
    written: list[dict[str, np.ndarray]] = []
    fixture.loop.on_rollout = lambda: written.append(fixture.steps())
    # Ticks of 0 to 190 ms of a period of 100, so that requests come within them, too.
    fixture.world.costs = {k: float(random.uniform(0, 0.19)) for k in range(0, 5000, 3)}
    time = script.now()
    for _ in range(100):
        time += float(random.exponential(0.4))
        script.at(time, lambda: pauses.add(PERSON))
        time += float(random.exponential(1.0)) + 0.2
        script.at(time, lambda: pauses.remove(PERSON))
    fixture.loop.run(lambda: script.now() > time + 1.0)
    assert pauses.count == len(pauses.spans) > 90
    events = [event for event, _ in fixture.world.events]
    for index, event in enumerate(events):
        if event == "paused":
            # Neutral comes first, and nothing else until the end.
            assert events[index - 1] == "release"
            assert set(events[index + 1 : events.index("resumed", index)]) <= {"release"}
    assert events.count("paused") == pauses.count
    rows = {key: np.concatenate([row[key] for row in written]) for key in written[0]}
    assert len(rows["index"]) == len(fixture.world.actions) == fixture.loop.metrics.ticks
    assert rows["index"].tolist() == list(range(len(rows["index"])))
    firsts = rows["time"][rows["is_first"]]
    # One at the start, and one as the first row after each pause: nowhere else.
    resumed = [rows["time"][rows["time"] >= ended].min() for _, ended in pauses.spans]
    assert firsts.tolist() == [rows["time"][0], *sorted(set(resumed) - {rows["time"][0]})]
    gaps = np.diff(rows["time"]) > 0.3
    assert gaps.sum() > 50 and rows["is_first"][1:][gaps].all()


def test_pause_works_under_lockstep(tmp_path: Path, clock: VirtualClock) -> None:
    waits: list[float] = []

    def pass_time(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 5:
            pauses.remove(PERSON)

    pauses, actor = Pauses(pass_time), FakeActor()
    spec = RolloutsSpec(tmp_path / "rollouts", SHAPE, 4)
    world, reader = FakeWorld(clock), None
    writer = RolloutWriter(spec)
    reader = RolloutReader(spec)
    on_rollout = lambda: pauses.add(PERSON) if writer.filled == 1 else None  # noqa: E731
    loop = Loop(world, actor, writer, LockstepClock(0.1), 10.0, on_rollout, None, pauses)
    loop.run(never, max_ticks=8)
    assert len(waits) == 5 and pauses.count == 1
    first, second = reader.read(), reader.read()
    assert first is not None and second is not None
    assert second.steps["is_first"].tolist() == [True, False, False, False]
    assert loop.metrics.missed == 0


def test_suspend_costs_one_tick_and_is_a_gap(paused: LoopFixture, script: Script) -> None:
    paused.world.costs = {3: 60.0}
    paused.loop.run(never, max_ticks=8)
    steps = paused.steps()
    assert steps["is_first"].tolist() == [True, *3 * [False], True, *3 * [False]]
    assert np.diff(steps["index"])[3] > 590
    # One tick at once, the next ones a period apart.
    after = np.diff(steps["time"])[3:]
    assert after[0] == pytest.approx(60.0) and after[1:] == pytest.approx(0.1)


def test_loop_never_reads_the_wall_clock(
    paused: LoopFixture, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wall() -> float:
        raise AssertionError("the wall clock was read")

    monkeypatch.setattr("time.time", wall)
    script.at(script.now() + 0.35, lambda: paused.loop.pauses.add(PERSON))
    script.at(script.now() + 0.95, lambda: paused.loop.pauses.remove(PERSON))
    paused.loop.run(never, max_ticks=20)
    assert paused.loop.metrics.missed == 0
