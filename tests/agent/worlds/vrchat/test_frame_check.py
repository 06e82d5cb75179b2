from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from agent.worlds.vrchat.frame_check import FIRST_PROBE_S, FrameCheck

SHAPE = (3, 16, 16)
RATE = 10.0
_rng = np.random.default_rng(0)


def scene() -> NDArray[np.uint8]:
    return _rng.integers(0, 256, SHAPE, np.uint8)


class Feed:
    """Feeds frames of a source to a FrameCheck ten times a second."""

    def __init__(self) -> None:
        self.frame_check = FrameCheck(SHAPE, RATE)
        self.now = 100.0

    def run(
        self,
        seconds: float,
        frame: Callable[[], NDArray[np.uint8]] = scene,
        moving: bool = True,
        **more: object,
    ) -> list[str | None]:
        """Return the kind of fault of every frame; the avatar moves only while it may act."""
        kinds = []
        for _ in range(round(seconds * RATE)):
            self.now += 1.0 / RATE
            moving_now = moving and self.frame_check.may_act
            fault = self.frame_check.judge(frame(), moving_now, self.now, **more)  # type: ignore[arg-type]
            kinds.append(fault.kind if fault is not None else None)
        return kinds


def held(times: int) -> Callable[[], NDArray[np.uint8]]:
    """A source with a new frame at every `times`-th read only."""

    def frames() -> Iterator[NDArray[np.uint8]]:
        while True:
            frame = scene()
            for _ in range(times):
                yield frame

    return frames().__next__


def still() -> Callable[[], NDArray[np.uint8]]:
    return held(10**9)


@pytest.fixture
def feed() -> Feed:
    feed = Feed()
    assert feed.run(3) == [None] * 30
    return feed


def black() -> NDArray[np.uint8]:
    return np.full(SHAPE, 3, np.uint8)


def grey() -> NDArray[np.uint8]:
    return np.full(SHAPE, 120, np.uint8)


@pytest.mark.parametrize(
    ("frame", "kind"),
    [(still(), "frozen"), (black, "black"), (grey, "constant"), (held(5), "slow")],
)
def test_fault_is_found_within_two_seconds_and_stops_acting(
    feed: Feed, frame: Callable[[], NDArray[np.uint8]], kind: str
) -> None:
    kinds = feed.run(2, frame)
    assert kinds[-1] == kind
    assert not feed.frame_check.may_act
    assert feed.frame_check.counts[kind] == kinds.count(kind)


@pytest.mark.parametrize("frame", [still(), black, grey])
def test_valid_frame_clears_the_fault_at_once(
    feed: Feed, frame: Callable[[], NDArray[np.uint8]]
) -> None:
    feed.run(4, frame)
    assert feed.run(3) == [None] * 30
    assert feed.frame_check.may_act


def test_recovered_slow_capture_is_valid_within_two_seconds(feed: Feed) -> None:
    assert feed.run(3, held(5))[-1] == "slow"
    assert feed.run(5)[20:] == [None] * 30


def test_standing_still_is_not_frozen(feed: Feed) -> None:
    assert feed.run(60, still(), moving=False) == [None] * 600


def test_new_frame_at_every_second_capture_is_not_slow(feed: Feed) -> None:
    assert feed.run(20, held(2)) == [None] * 200


def test_a_second_at_a_wall_is_not_slow(feed: Feed) -> None:
    wall = still()
    assert feed.run(1.3, wall) + feed.run(3) == [None] * 43


def test_blink_is_not_black(feed: Feed) -> None:
    assert feed.run(0.4, black) == [None] * 4
    assert feed.run(1) == [None] * 10


def test_captures_longer_than_a_tick_are_slow(feed: Feed) -> None:
    assert feed.run(1, took=0.5)[-1] == "slow"
    assert feed.run(0.3, took=0.01) == [None] * 3


def test_wrong_shape_is_a_fault_at_once(feed: Feed) -> None:
    assert feed.run(0.1, lambda: np.zeros((3, 4, 4), np.uint8)) == ["size"]
    assert not feed.frame_check.may_act
    assert feed.run(0.1) == [None]


def test_resized_window_is_a_fault_until_it_keeps_its_size(feed: Feed) -> None:
    feed.run(1, area=(640, 360))
    assert feed.run(0.3, area=(1280, 720)) == ["resized"] * 3
    kinds = feed.run(1, area=(800, 600))
    assert kinds[:5] == ["resized"] * 5
    assert kinds[6:] == [None] * 4


def test_lost_window_stops_acting_until_it_returns(feed: Feed) -> None:
    for _ in range(200):
        feed.now += 0.1
        assert feed.frame_check.lost("gone", feed.now).kind == "lost"
        assert not feed.frame_check.may_act
    assert str(feed.frame_check.fault) == "lost: gone"
    assert feed.run(3) == [None] * 30


def test_probes_of_a_blank_frame_become_rarer(feed: Feed) -> None:
    begun: list[float] = []
    wall = still()
    before = True
    for _ in range(3000):
        feed.run(0.1, wall)
        if feed.frame_check.may_act and not before:
            begun.append(feed.now)
        before = feed.frame_check.may_act
    gaps = np.diff(begun)
    assert gaps[0] == pytest.approx(1 + 2 * FIRST_PROBE_S, abs=0.2)
    assert (np.diff(gaps) > -0.2).all()
    assert gaps.max() == pytest.approx(61, abs=0.2)


def test_probe_that_changes_the_frame_clears_the_fault(feed: Feed) -> None:
    wall = still()
    assert feed.run(2, wall)[-1] == "frozen"
    while not feed.frame_check.may_act:
        feed.run(0.1, wall)
    assert feed.run(2) == [None] * 20
