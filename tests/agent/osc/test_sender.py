from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys

import numpy as np
import pytest
from pythonosc.osc_message import OscMessage

from agent.actions import ACTIONS, NEUTRAL
from agent.osc.sender import OscSender, encode
from tests.agent.osc.receiver import Receiver

RELEASE_MESSAGES = 3 * len(ACTIONS)
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


def test_inputs_are_released_at_construction_and_close(receiver: Receiver) -> None:
    sender = OscSender(port=receiver.port)
    assert receiver.read_many(RELEASE_MESSAGES) == list(NEUTRAL.items()) * 3
    sender.act(FORWARD)
    assert receiver.read_many(5)[0] == ("/input/Vertical", 1.0)
    sender.close()
    assert receiver.read_many(RELEASE_MESSAGES) == list(NEUTRAL.items()) * 3
    sender.close()
    assert receiver.pending() == []


def test_button_press_ends_by_itself(receiver: Receiver) -> None:
    sender = OscSender(port=receiver.port)
    receiver.read_many(RELEASE_MESSAGES)
    sender.act(JUMP)
    jumps = [value for address, value in receiver.read_many(7) if address == "/input/Jump"]
    assert jumps == [0, 1, 0]
    sender.close()


def test_same_action_is_sent_again_after_a_release(receiver: Receiver) -> None:
    sender = OscSender(port=receiver.port)
    sender.act(FORWARD)
    sender.release_inputs()
    receiver.pending()
    sender.act(FORWARD)
    assert ("/input/Vertical", 1.0) in receiver.pending()
    sender.close()


def test_missing_listener_is_counted_and_never_raised() -> None:
    unused = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    unused.bind(("127.0.0.1", 0))
    port = unused.getsockname()[1]
    unused.close()
    sender = OscSender(port=port)
    sender.act(FORWARD)
    sender.release_inputs()
    sender.close()
    assert sender.send_errors > 0


def test_returning_receiver_misses_nothing() -> None:
    first = Receiver()
    sender = OscSender(port=first.port)
    first.close()
    sender.act(FORWARD)
    second = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    second.bind(("127.0.0.1", first.port))
    second.settimeout(10.0)
    sender.release_inputs()
    received = {OscMessage(second.recv(4096)).address for _ in range(RELEASE_MESSAGES)}
    assert received == set(NEUTRAL)
    sender.close()
    second.close()


def test_error_names_an_unknown_host() -> None:
    with pytest.raises(OSError, match=r"OSC goes to no\.such\.host\.invalid:9000"):
        OscSender(host="no.such.host.invalid")


def test_closed_sender_refuses_to_act(receiver: Receiver) -> None:
    sender = OscSender(port=receiver.port)
    sender.close()
    with pytest.raises(RuntimeError, match="closed"):
        sender.act(NOTHING)


@pytest.mark.parametrize("ending", ["raise SystemExit(0)", "raise RuntimeError('broken actor')"])
def test_inputs_are_released_when_the_process_ends(receiver: Receiver, ending: str) -> None:
    program = (
        "import numpy as np; from agent.osc.sender import OscSender\n"
        f"OscSender(port={receiver.port}).act(np.ones(5, np.int64))\n{ending}"
    )
    subprocess.run([sys.executable, "-c", program], check=False, stderr=subprocess.DEVNULL)
    assert receiver.pending()[-RELEASE_MESSAGES:] == list(NEUTRAL.items()) * 3


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
def test_release_in_a_signal_handler_does_not_block(receiver: Receiver) -> None:
    sender = OscSender(port=receiver.port)

    def handler(*_: object) -> None:
        sender.release_inputs()

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        with sender._changed:  # As if the signal came in the middle of an action.
            os.kill(os.getpid(), signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert receiver.read_many(2 * RELEASE_MESSAGES)[-1] == ("/input/Run", 0)
    sender.close()
