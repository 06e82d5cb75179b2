from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys

import numpy as np
import pytest
from pythonosc.osc_message import OscMessage

from agent.actions import LIMBS, NEUTRAL
from agent.osc.sender import OscActuator, encode
from tests.agent.osc.receiver import Receiver

RESTS = 3 * len(LIMBS)
NOTHING = np.zeros(5, np.int64)
FORWARD = np.array([1, 0, 0, 0, 0])
JUMP = np.array([0, 0, 0, 1, 0])


def test_axes_are_sent_as_floats_and_buttons_as_ints() -> None:
    assert b",f" in encode("/input/Vertical", 1)
    assert b",i" in encode("/input/Jump", True)


@pytest.mark.parametrize(
    ("address", "value", "sent"), [("/input/Vertical", -7.0, -1.0), ("/input/Run", 3, 1)]
)
def test_values_are_clamped(address: str, value: float, sent: float) -> None:
    assert OscMessage(encode(address, value)).params == [sent]


def test_it_rests_when_made_acts_and_rests_when_closed(receiver: Receiver) -> None:
    actuator = OscActuator(port=receiver.port)
    assert receiver.read_many(RESTS) == list(NEUTRAL.items()) * 3
    actuator.act(FORWARD)
    assert receiver.read_many(5)[0] == ("/input/Vertical", 1.0)
    actuator.close()
    assert receiver.read_many(RESTS) == list(NEUTRAL.items()) * 3
    actuator.close()
    assert receiver.pending() == []


def test_a_tap_is_released_by_itself(receiver: Receiver) -> None:
    actuator = OscActuator(port=receiver.port)
    receiver.read_many(RESTS)
    actuator.act(JUMP)
    jumps = [value for address, value in receiver.read_many(7) if address == "/input/Jump"]
    assert jumps == [0, 1, 0]
    actuator.close()


def test_after_a_rest_the_same_action_is_sent_again(receiver: Receiver) -> None:
    actuator = OscActuator(port=receiver.port)
    actuator.act(FORWARD)
    actuator.rest()
    receiver.pending()
    actuator.act(FORWARD)
    assert ("/input/Vertical", 1.0) in receiver.pending()
    actuator.close()


def test_nobody_listening_is_counted_and_never_raised() -> None:
    unused = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    unused.bind(("127.0.0.1", 0))
    port = unused.getsockname()[1]
    unused.close()
    actuator = OscActuator(port=port)
    actuator.act(FORWARD)
    actuator.rest()
    actuator.close()
    assert actuator.send_errors > 0


def test_a_receiver_that_comes_back_misses_nothing() -> None:
    first = Receiver()
    actuator = OscActuator(port=first.port)
    first.close()
    actuator.act(FORWARD)
    second = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    second.bind(("127.0.0.1", first.port))
    second.settimeout(10.0)
    actuator.rest()
    heard = {OscMessage(second.recv(4096)).address for _ in range(RESTS)}
    assert heard == set(NEUTRAL)
    actuator.close()
    second.close()


def test_an_unknown_host_is_named() -> None:
    with pytest.raises(OSError, match=r"OSC goes to no\.such\.host\.invalid:9000"):
        OscActuator(host="no.such.host.invalid")


def test_a_closed_actuator_refuses_to_act(receiver: Receiver) -> None:
    actuator = OscActuator(port=receiver.port)
    actuator.close()
    with pytest.raises(RuntimeError, match="closed"):
        actuator.act(NOTHING)


@pytest.mark.parametrize("ending", ["raise SystemExit(0)", "raise RuntimeError('broken mind')"])
def test_the_process_ends_and_the_avatar_rests(receiver: Receiver, ending: str) -> None:
    program = (
        "import numpy as np; from agent.osc.sender import OscActuator\n"
        f"OscActuator(port={receiver.port}).act(np.ones(5, np.int64))\n{ending}"
    )
    subprocess.run([sys.executable, "-c", program], check=False, stderr=subprocess.DEVNULL)
    assert receiver.pending()[-RESTS:] == list(NEUTRAL.items()) * 3


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
def test_resting_in_a_signal_handler_does_not_block(receiver: Receiver) -> None:
    actuator = OscActuator(port=receiver.port)

    def handler(*_: object) -> None:
        actuator.rest()

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        with actuator._changed:  # As if the signal came in the middle of an action.
            os.kill(os.getpid(), signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert receiver.read_many(2 * RESTS)[-1] == ("/input/Run", 0)
    actuator.close()
