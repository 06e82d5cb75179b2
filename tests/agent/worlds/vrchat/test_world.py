from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from agent.capture.base import CaptureError
from agent.osc.parameters import PARAMETERS
from agent.osc.ports import PortTakenError, bind_udp
from agent.worlds.base import World
from agent.worlds.vrchat.world import VRChat
from tests.agent.osc.conftest import Clock
from tests.agent.osc.receiver import Receiver
from tests.agent.osc.test_parse import build

FORWARD = np.array([1, 0, 0, 0, 0])
STAND = np.zeros(5, np.int64)


class ScriptedEye:
    """Sees noise that is new at each look, or the same for ever, or nothing."""

    captured = None

    def __init__(self) -> None:
        self.open = True
        self.frozen = False
        self.frame = np.zeros((3, 8, 8), np.uint8)
        self._rng = np.random.default_rng(0)

    def read(self) -> NDArray[np.uint8]:
        if not self.open:
            raise CaptureError("the window is gone")
        if not self.frozen:
            self.frame = self._rng.integers(0, 256, (3, 8, 8), np.uint8)
        return self.frame

    def close(self) -> None:
        self.open = False


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def source() -> ScriptedEye:
    return ScriptedEye()


@pytest.fixture
def world(receiver: Receiver, source: ScriptedEye, clock: Clock) -> Iterator[VRChat]:
    world = VRChat(8, port=receiver.port, source=source, listen=0, clock=clock)
    receiver.pending()
    yield world
    world.close()


def live(world: VRChat, clock: Clock, ticks: int, action: NDArray[np.int64] = FORWARD) -> None:
    for _ in range(ticks):
        clock.now += 0.1
        world.observe()
        world.act(action)


def test_it_is_a_world_that_sees_and_acts(world: VRChat, receiver: Receiver) -> None:
    scene: World = world
    frame, info = scene.observe()
    assert frame.shape == (3, 8, 8)
    assert scene.info_names == PARAMETERS
    assert info.shape == (len(PARAMETERS),)
    assert np.isnan(info).all()
    scene.act(FORWARD)
    assert ("/input/Vertical", 1.0) in receiver.pending()
    scene.close()
    scene.close()
    assert receiver.pending()[-1] == ("/input/Run", 0)


def test_while_blind_nothing_is_pressed_and_sight_returns(
    world: VRChat, receiver: Receiver, source: ScriptedEye, clock: Clock
) -> None:
    live(world, clock, 3)
    frame = world.observe()[0]
    receiver.pending()
    source.open = False
    clock.now += 0.1
    assert world.observe()[0] is frame
    assert world.invalid_reason == "lost: the window is gone"
    world.act(FORWARD)
    assert ("/input/Vertical", 0.0) in receiver.pending()
    live(world, clock, 30)
    assert receiver.pending() == []
    source.open = True
    live(world, clock, 1)
    assert world.invalid_reason is None
    assert ("/input/Vertical", 1.0) in receiver.pending()


def test_a_frozen_picture_rests_the_body_within_two_seconds(
    world: VRChat, receiver: Receiver, source: ScriptedEye, clock: Clock
) -> None:
    live(world, clock, 20)
    source.frozen = True
    live(world, clock, 20)
    assert world.invalid_reason is not None
    assert world.invalid_reason.startswith("frozen")
    assert dict(receiver.pending())["/input/Vertical"] == 0.0
    assert world.status()["blind_frozen"] > 0  # type: ignore[operator]


def test_a_body_told_to_stand_may_see_the_same_for_ever(
    world: VRChat, source: ScriptedEye, clock: Clock
) -> None:
    source.frozen = True
    source.read()
    source.frame[0, 0, 0] = 255
    source.frame[0, 0, 1] = 0
    live(world, clock, 100, STAND)
    assert world.invalid_reason is None


def test_a_frame_of_another_size_is_not_passed_on(world: VRChat, source: ScriptedEye) -> None:
    source.frozen, source.frame = True, np.zeros((3, 4, 4), np.uint8)
    assert world.observe()[0].shape == (3, 8, 8)
    assert world.invalid_reason is not None
    assert world.invalid_reason.startswith("size")


def test_avatar_parameters_become_info_and_stuck_is_noticed(world: VRChat, clock: Clock) -> None:
    assert world._listener is not None
    world._listener.take(build("/avatar/parameters/VelocityMagnitude", 0.0, "f"))
    assert world.observe()[1][PARAMETERS.index("VelocityMagnitude")] == 0.0
    live(world, clock, 60)
    assert str(world.status()["motion"]).startswith("commanded but not moving")
    assert world.status()["stuck"] == 1


def test_without_a_listener_there_is_no_info(receiver: Receiver, source: ScriptedEye) -> None:
    world = VRChat(8, port=receiver.port, source=source, listen=None)
    assert world.info_names == ()
    assert world.observe()[1].shape == (0,)
    world.close()


def test_a_taken_port_is_named_and_nothing_is_left_open(
    receiver: Receiver, source: ScriptedEye
) -> None:
    taken = bind_udp("127.0.0.1", 0)
    with pytest.raises(PortTakenError, match="is taken by"):
        VRChat(8, port=receiver.port, source=source, listen=taken.getsockname()[1])
    taken.close()
    assert not source.open
    assert receiver.pending() == []


def test_the_watchdog_lets_go_of_a_world_that_stops_ticking(
    receiver: Receiver, source: ScriptedEye
) -> None:
    world = VRChat(8, port=receiver.port, source=source, listen=None)
    world.observe()
    world.act(FORWARD)
    receiver.pending()
    # Nobody ticks any more: what arrives next is the watchdog's.
    assert dict(receiver.read_many(5))["/input/Vertical"] == 0.0
    world.close()
