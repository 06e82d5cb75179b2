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


class ScriptedSource:
    """Returns noise: new at each read, or frozen; or raises while closed."""

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
def source() -> ScriptedSource:
    return ScriptedSource()


@pytest.fixture
def world(receiver: Receiver, source: ScriptedSource, clock: Clock) -> Iterator[VRChat]:
    world = VRChat(8, port=receiver.port, source=source, listen=0, clock=clock)
    receiver.pending()
    yield world
    world.close()


def run(world: VRChat, clock: Clock, ticks: int, action: NDArray[np.int64] = FORWARD) -> None:
    for _ in range(ticks):
        clock.now += 0.1
        world.observe()
        world.act(action)


def test_vrchat_observes_and_acts(world: VRChat, receiver: Receiver) -> None:
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


def test_no_input_is_held_without_valid_frames(
    world: VRChat, receiver: Receiver, source: ScriptedSource, clock: Clock
) -> None:
    run(world, clock, 3)
    frame = world.observe()[0]
    receiver.pending()
    source.open = False
    clock.now += 0.1
    assert world.observe()[0] is frame
    assert world.invalid_reason == "lost: the window is gone"
    world.act(FORWARD)
    assert ("/input/Vertical", 0.0) in receiver.pending()
    run(world, clock, 30)
    assert receiver.pending() == []
    source.open = True
    run(world, clock, 1)
    assert world.invalid_reason is None
    assert ("/input/Vertical", 1.0) in receiver.pending()


def test_frozen_frame_releases_inputs_within_two_seconds(
    world: VRChat, receiver: Receiver, source: ScriptedSource, clock: Clock
) -> None:
    run(world, clock, 20)
    source.frozen = True
    run(world, clock, 20)
    assert world.invalid_reason is not None
    assert world.invalid_reason.startswith("frozen")
    assert dict(receiver.pending())["/input/Vertical"] == 0.0
    assert world.status()["invalid_frozen"] > 0  # type: ignore[operator]


def test_standing_avatar_may_keep_the_same_frame(
    world: VRChat, source: ScriptedSource, clock: Clock
) -> None:
    source.frozen = True
    source.read()
    source.frame[0, 0, 0] = 255
    source.frame[0, 0, 1] = 0
    run(world, clock, 100, STAND)
    assert world.invalid_reason is None


def test_frame_of_another_size_is_not_returned(world: VRChat, source: ScriptedSource) -> None:
    source.frozen, source.frame = True, np.zeros((3, 4, 4), np.uint8)
    assert world.observe()[0].shape == (3, 8, 8)
    assert world.invalid_reason is not None
    assert world.invalid_reason.startswith("size")


def test_avatar_parameters_become_info_and_stuck_is_reported(world: VRChat, clock: Clock) -> None:
    assert world._listener is not None
    world._listener.receive(build("/avatar/parameters/VelocityMagnitude", 0.0, "f"))
    assert world.observe()[1][PARAMETERS.index("VelocityMagnitude")] == 0.0
    run(world, clock, 60)
    assert str(world.status()["motion"]).startswith("commanded but not moving")
    assert world.status()["stuck"] == 1


def test_no_listener_means_no_info(receiver: Receiver, source: ScriptedSource) -> None:
    world = VRChat(8, port=receiver.port, source=source, listen=None)
    assert world.info_names == ()
    assert world.observe()[1].shape == (0,)
    world.close()


def test_taken_port_is_named_and_nothing_stays_open(
    receiver: Receiver, source: ScriptedSource
) -> None:
    taken = bind_udp("127.0.0.1", 0)
    with pytest.raises(PortTakenError, match="is taken by"):
        VRChat(8, port=receiver.port, source=source, listen=taken.getsockname()[1])
    taken.close()
    assert not source.open
    assert receiver.pending() == []


def test_watchdog_releases_a_world_that_stops_ticking(
    receiver: Receiver, source: ScriptedSource
) -> None:
    world = VRChat(8, port=receiver.port, source=source, listen=None)
    world.observe()
    world.act(FORWARD)
    receiver.pending()
    # Nobody ticks any more: what arrives next is the watchdog's.
    assert dict(receiver.read_many(5))["/input/Vertical"] == 0.0
    world.close()
