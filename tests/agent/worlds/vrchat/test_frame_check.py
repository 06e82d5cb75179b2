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


class FrozenEncoders:
    """A body that looks ten times a second, for as long as a picture source says."""

    def __init__(self) -> None:
        self.frame_check = FrameCheck(SHAPE, RATE)
        self.now = 100.0

    def look(
        self,
        seconds: float,
        picture: Callable[[], NDArray[np.uint8]] = scene,
        moving: bool = True,
        **more: object,
    ) -> list[str | None]:
        """Return the kind of doubt at every look; the body moves only where it may."""
        kinds = []
        for _ in range(round(seconds * RATE)):
            self.now += 1.0 / RATE
            told = moving and self.frame_check.may_act
            fault = self.frame_check.judge(picture(), told, self.now, **more)  # type: ignore[arg-type]
            kinds.append(fault.kind if fault is not None else None)
        return kinds


def held(times: int) -> Callable[[], NDArray[np.uint8]]:
    """A source that brings a new picture only at every so-many-th look."""

    def pictures() -> Iterator[NDArray[np.uint8]]:
        while True:
            picture = scene()
            for _ in range(times):
                yield picture

    return pictures().__next__


def still() -> Callable[[], NDArray[np.uint8]]:
    return held(10**9)


@pytest.fixture
def eyes() -> FrozenEncoders:
    eyes = FrozenEncoders()
    assert eyes.look(3) == [None] * 30
    return eyes


def black() -> NDArray[np.uint8]:
    return np.full(SHAPE, 3, np.uint8)


def grey() -> NDArray[np.uint8]:
    return np.full(SHAPE, 120, np.uint8)


@pytest.mark.parametrize(
    ("picture", "kind"),
    [(still(), "frozen"), (black, "black"), (grey, "constant"), (held(5), "slow")],
)
def test_a_wrong_picture_is_seen_within_two_seconds_and_rests_the_body(
    eyes: FrozenEncoders, picture: Callable[[], NDArray[np.uint8]], kind: str
) -> None:
    kinds = eyes.look(2, picture)
    assert kinds[-1] == kind
    assert not eyes.frame_check.may_act
    assert eyes.frame_check.counts[kind] == kinds.count(kind)


@pytest.mark.parametrize("picture", [still(), black, grey])
def test_a_sound_picture_is_believed_at_once(
    eyes: FrozenEncoders, picture: Callable[[], NDArray[np.uint8]]
) -> None:
    eyes.look(4, picture)
    assert eyes.look(3) == [None] * 30
    assert eyes.frame_check.may_act


def test_a_slow_capture_that_recovers_is_believed_within_two_seconds(eyes: FrozenEncoders) -> None:
    assert eyes.look(3, held(5))[-1] == "slow"
    assert eyes.look(5)[20:] == [None] * 30


def test_standing_still_is_no_freeze(eyes: FrozenEncoders) -> None:
    assert eyes.look(60, still(), moving=False) == [None] * 600


def test_a_picture_at_every_second_look_is_not_slow(eyes: FrozenEncoders) -> None:
    assert eyes.look(20, held(2)) == [None] * 200


def test_a_second_against_a_wall_is_no_slow_capture(eyes: FrozenEncoders) -> None:
    wall = still()
    assert eyes.look(1.3, wall) + eyes.look(3) == [None] * 43


def test_a_blink_is_not_black(eyes: FrozenEncoders) -> None:
    assert eyes.look(0.4, black) == [None] * 4
    assert eyes.look(1) == [None] * 10


def test_looks_that_take_longer_than_a_tick_are_slow(eyes: FrozenEncoders) -> None:
    assert eyes.look(1, took=0.5)[-1] == "slow"
    assert eyes.look(0.3, took=0.01) == [None] * 3


def test_a_wrong_shape_is_refused_at_once(eyes: FrozenEncoders) -> None:
    assert eyes.look(0.1, lambda: np.zeros((3, 4, 4), np.uint8)) == ["size"]
    assert not eyes.frame_check.may_act
    assert eyes.look(0.1) == [None]


def test_a_resized_window_is_doubted_until_it_keeps_its_size(eyes: FrozenEncoders) -> None:
    eyes.look(1, area=(640, 360))
    assert eyes.look(0.3, area=(1280, 720)) == ["resized"] * 3
    kinds = eyes.look(1, area=(800, 600))
    assert kinds[:5] == ["resized"] * 5
    assert kinds[6:] == [None] * 4


def test_a_lost_window_rests_the_body_and_its_return_is_believed(eyes: FrozenEncoders) -> None:
    for _ in range(200):
        eyes.now += 0.1
        assert eyes.frame_check.lost("gone", eyes.now).kind == "lost"
        assert not eyes.frame_check.may_act
    assert str(eyes.frame_check.fault) == "lost: gone"
    assert eyes.look(3) == [None] * 30


def test_facing_a_bare_wall_the_body_tries_again_ever_more_rarely(eyes: FrozenEncoders) -> None:
    begun: list[float] = []
    wall = still()
    before = True
    for _ in range(3000):
        eyes.look(0.1, wall)
        if eyes.frame_check.may_act and not before:
            begun.append(eyes.now)
        before = eyes.frame_check.may_act
    gaps = np.diff(begun)
    assert gaps[0] == pytest.approx(1 + 2 * FIRST_PROBE_S, abs=0.2)
    assert (np.diff(gaps) > -0.2).all()
    assert gaps.max() == pytest.approx(61, abs=0.2)


def test_an_attempt_that_changes_the_picture_ends_the_doubt(eyes: FrozenEncoders) -> None:
    wall = still()
    assert eyes.look(2, wall)[-1] == "frozen"
    while not eyes.frame_check.may_act:
        eyes.look(0.1, wall)
    assert eyes.look(2) == [None] * 20
