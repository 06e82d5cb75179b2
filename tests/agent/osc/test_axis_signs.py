"""One sign convention from the action to the ground truth: nothing in between is faked but time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from agent.osc.sender import OscSender
from agent.worlds.embedded.scenes.street import Street
from agent.worlds.embedded.simulation import Simulation
from tests.agent.osc.receiver import Receiver


class Walk:
    """An avatar in the street that is moved by an OscSender over UDP."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._sender = OscSender(port=receiver.port)
        self._street = Simulation(Street(), 16, seed=0)

    def go(self, action: list[int], steps: int = 15) -> NDArray[np.float64]:
        """Act, let so many thirtieths of a second pass, and return the way (x, y) in metres."""
        before = self._place()
        self._sender.act(np.array(action))
        for address, value in self._receiver.pending():
            self._street.set_input(address, value)
        for _ in range(steps):
            self._street.step()
        self._sender.release_inputs()
        for address, value in self._receiver.pending():
            self._street.set_input(address, value)
        way = self._place() - before
        for _ in range(steps):
            self._street.step()
        return way

    def _place(self) -> NDArray[np.float64]:
        body = self._street.scene_state.body
        return np.array([body.x, body.y], np.float64)

    def close(self) -> None:
        self._sender.close()


@pytest.fixture
def walk(receiver: Receiver) -> Iterator[Walk]:
    walk = Walk(receiver)
    yield walk
    walk.close()


def right_of(way: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the direction to the right of a way, with x to the east and y to the north."""
    return np.array([way[1], -way[0]])


def test_vertical_plus_is_forward_and_minus_backward(walk: Walk) -> None:
    forward = walk.go([1, 0, 0, 0, 0])
    assert np.linalg.norm(forward) > 0.3
    assert walk.go([2, 0, 0, 0, 0]) @ forward < 0


def test_horizontal_plus_is_right_and_minus_left(walk: Walk) -> None:
    right = right_of(walk.go([1, 0, 0, 0, 0]))
    assert walk.go([0, 1, 0, 0, 0]) @ right > 0
    assert walk.go([0, 2, 0, 0, 0]) @ right < 0


@pytest.mark.parametrize(("choice", "sign"), [(1, 1), (2, -1)])
def test_look_plus_turns_right_and_minus_left(walk: Walk, choice: int, sign: int) -> None:
    right = right_of(walk.go([1, 0, 0, 0, 0]))
    walk.go([0, 0, choice, 0, 0], steps=10)
    assert sign * (walk.go([1, 0, 0, 0, 0]) @ right) > 0


def test_run_is_faster(walk: Walk) -> None:
    slow = np.linalg.norm(walk.go([1, 0, 0, 0, 0]))
    assert np.linalg.norm(walk.go([1, 0, 0, 0, 1])) > 1.3 * slow
