from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from agent.osc.parameters import CHANGE, PARAMETERS, PREFIX, Listener
from agent.osc.ports import PortTakenError, bind_udp, udp_holder
from tests.agent.osc.conftest import Clock
from tests.agent.osc.test_parse import build


@pytest.fixture
def listener(clock: Clock) -> Iterator[Listener]:
    listener = Listener(port=0, clock=clock)
    yield listener
    listener.close()


def test_nothing_heard_is_not_a_number(listener: Listener) -> None:
    assert np.isnan(listener.values()).all()
    assert listener.values().shape == (len(PARAMETERS),)
    assert listener.heard_at is None


def test_parameters_arrive_over_udp(listener: Listener) -> None:
    heard = threading.Event()
    take = listener.take

    def notify(datagram: bytes) -> None:
        take(datagram)
        heard.set()

    listener.take = notify  # type: ignore[method-assign]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as vrchat:
        vrchat.sendto(build(PREFIX + "VelocityZ", 2.5, "f"), ("127.0.0.1", listener.port))
    assert heard.wait(10)
    assert listener.value("VelocityZ") == 2.5
    assert listener.heard == 1
    assert listener.heard_at == 1000.0


def test_booleans_become_one_and_zero(listener: Listener) -> None:
    listener.take(build(PREFIX + "Grounded", True, "T"))
    listener.take(build(PREFIX + "AFK", False, "F"))
    assert (listener.value("Grounded"), listener.value("AFK")) == (1.0, 0.0)


def test_another_avatar_is_counted(listener: Listener) -> None:
    listener.take(build(CHANGE, "avtr_2", "s"))
    assert listener.avatars == 1


def test_what_is_unknown_or_no_number_is_not_kept(listener: Listener) -> None:
    for datagram in (
        build(PREFIX + "TailWag", 1.0, "f"),
        build(PREFIX + "VelocityX", float("nan"), "f"),
        build(PREFIX + "VelocityX", float("inf"), "f"),
        build(PREFIX + "VelocityX", "fast", "s"),
        b"garbage",
    ):
        listener.take(datagram)
    assert np.isnan(listener.values()).all()
    assert listener.malformed == 3
    assert listener.heard == 2


def test_values_are_a_copy(listener: Listener) -> None:
    values = listener.values()
    listener.take(build(PREFIX + "Upright", 1.0, "f"))
    assert np.isnan(values).all()


def test_a_taken_port_is_a_named_error(listener: Listener) -> None:
    with pytest.raises(PortTakenError, match=rf"UDP port {listener.port} is taken by .*close"):
        Listener(port=listener.port)


def test_a_closed_listener_gives_the_port_back() -> None:
    listener = Listener(port=0)
    listener.close()
    listener.close()
    bind_udp("127.0.0.1", listener.port).close()


@pytest.mark.skipif(not os.path.exists("/proc/net/udp"), reason="known from /proc")  # noqa: PTH110
def test_the_holder_of_a_port_is_known_by_its_process(listener: Listener) -> None:
    assert f"process {os.getpid()}" in str(udp_holder(listener.port))
    free = bind_udp("127.0.0.1", 0)
    port = free.getsockname()[1]
    free.close()
    assert udp_holder(port) is None


def test_an_address_that_is_not_ours_is_no_taken_port() -> None:
    with pytest.raises(OSError, match=r"cannot listen on 192\.0\.2\.1") as failure:
        bind_udp("192.0.2.1", 0)
    assert not isinstance(failure.value, PortTakenError)
