from __future__ import annotations

import queue
import random
import socket
from collections.abc import Iterator

import pytest
from pythonosc.osc_bundle_builder import OscBundleBuilder
from pythonosc.osc_message_builder import OscMessageBuilder
from pythonosc.udp_client import SimpleUDPClient

from agent.osc.ports import PortTakenError
from agent.osc.server import HOST, OscReceiver
from agent.worlds.embedded.inputs import InputController

Received = queue.Queue[tuple[str, object]]
PATIENCE = 10.0
"""Seconds before a test that waits for a datagram gives up."""


@pytest.fixture
def received() -> Received:
    return queue.Queue()


@pytest.fixture
def receiver(received: Received) -> Iterator[OscReceiver]:
    inputs = InputController()

    def take(address: str, value: object) -> None:
        inputs.set(address, value)
        received.put((address, value))

    receiver = OscReceiver(0, take)
    yield receiver
    receiver.close()


def test_messages_arrive_in_order(receiver: OscReceiver, received: Received) -> None:
    with SimpleUDPClient(HOST, receiver.port) as client:
        for number in range(100):
            client.send_message("/input/Vertical", number / 100)
    values = [received.get(timeout=PATIENCE)[1] for _ in range(100)]
    assert values == pytest.approx([number / 100 for number in range(100)])


def test_bundles_are_unpacked_at_once_whatever_their_time_tag(
    receiver: OscReceiver, received: Received
) -> None:
    bundle = OscBundleBuilder(2_000_000_000)
    for address in ("/input/Run", "/input/Jump"):
        message = OscMessageBuilder(address)
        message.add_arg(1)
        bundle.add_content(message.build())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(bundle.build().dgram, (HOST, receiver.port))
    assert [received.get(timeout=PATIENCE)[0] for _ in range(2)] == ["/input/Run", "/input/Jump"]


def test_invalid_datagrams_are_counted(receiver: OscReceiver, received: Received) -> None:
    rng = random.Random(0)
    message = OscMessageBuilder("/input/Vertical")
    message.add_arg(1.0)
    good = message.build().dgram
    nonsense = [good[:length] for length in range(len(good))]
    nonsense += [b"#bundle\0" + bytes(8) + b"\x7f\xff\xff\xff" + good, b"/input/Vertical\0,zz\0"]
    nonsense += [rng.randbytes(rng.randrange(1, 200)) for _ in range(200)]
    nonsense += [b"/input/Vertical\0,s\0\0one\0", b"/chatbox\0\0\0\0,i\0\0\0\0\0\1", bytes(9000)]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for datagram in nonsense:
            sender.sendto(datagram, (HOST, receiver.port))
            sender.sendto(good, (HOST, receiver.port))
            assert received.get(timeout=PATIENCE) == ("/input/Vertical", 1.0)
    assert receiver.ignored >= len(nonsense) * 0.9


def test_error_names_a_taken_port(receiver: OscReceiver) -> None:
    with pytest.raises(PortTakenError, match=f"UDP port {receiver.port} is taken"):
        OscReceiver(receiver.port, lambda address, value: None)


def nasty(rng: random.Random) -> bytes:
    """Make one datagram that no honest sender would send."""
    kind = rng.randrange(6)
    if kind == 0:
        return rng.randbytes(rng.randrange(0, 300))
    if kind == 1:
        return b"/input/Vertical\0," + rng.randbytes(2) + b"\0" + rng.randbytes(8)
    if kind == 2:
        return b"#bundle\0" + rng.randbytes(8) + rng.randbytes(rng.randrange(0, 60))
    if kind == 3:
        depth = rng.randrange(2, 300)
        inner = b"#bundle\0" + bytes(8)
        for _ in range(depth):
            inner = b"#bundle\0" + bytes(8) + len(inner).to_bytes(4, "big") + inner
        return inner
    if kind == 4:
        return b"/" + bytes(rng.choice((b"a", b"\xff"))) * rng.randrange(1, 400)
    return b"/input/Vertical\0,f\0\0" + rng.randbytes(rng.choice((0, 1, 3, 4, 5)))


def storm(count: int) -> None:
    """Send invalid datagrams, some as large as UDP allows; the receiver still receives."""
    received: Received = queue.Queue()
    receiver = OscReceiver(0, lambda address, value: received.put((address, value)))
    rng = random.Random(0)
    message = OscMessageBuilder("/end")
    message.add_arg(1)
    end = message.build().dgram
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for number in range(count):
            datagram = bytes(65000) if number % 1000 == 0 else nasty(rng)
            sender.sendto(datagram, (HOST, receiver.port))
            if number % 20 == 19:  # Few at a time, or the system drops some.
                sender.sendto(end, (HOST, receiver.port))
                while received.get(timeout=PATIENCE)[0] != "/end":
                    pass
    assert receiver.ignored > count // 2
    receiver.close()


def test_server_survives_a_storm_of_invalid_datagrams(caplog: pytest.LogCaptureFixture) -> None:
    storm(3000)
    assert not caplog.records


@pytest.mark.slow
def test_memory_stays_flat_under_100_000_datagrams() -> None:
    psutil = pytest.importorskip("psutil")
    process = psutil.Process()
    storm(5000)
    before = process.memory_info().rss
    storm(100_000)
    assert process.memory_info().rss - before < 8 * 2**20
