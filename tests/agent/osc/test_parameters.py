from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from agent.osc.parameters import CHANGE, PARAMETERS, PREFIX, Listener
from agent.osc.ports import PortTakenError, bind_udp, udp_holders
from tests.agent.osc.conftest import Clock
from tests.agent.osc.test_parse import build, bundle


@pytest.fixture
def listener(clock: Clock) -> Iterator[Listener]:
    listener = Listener(port=0, clock=clock)
    yield listener
    listener.close()


def test_values_are_nan_before_the_first_message(listener: Listener) -> None:
    assert np.isnan(listener.values()).all()
    assert listener.values().shape == (len(PARAMETERS),)
    assert listener.received_at is None


def test_parameters_arrive_over_udp(listener: Listener) -> None:
    received = threading.Event()
    take = listener.receive

    def notify(datagram: bytes, source: tuple[str, int]) -> None:
        take(datagram, source)
        received.set()

    listener.receive = notify  # type: ignore[method-assign]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as vrchat:
        vrchat.sendto(build(PREFIX + "VelocityZ", 2.5, "f"), ("127.0.0.1", listener.port))
    assert received.wait(10)
    assert listener.value("VelocityZ") == 2.5
    assert listener.received == 1
    assert listener.received_at == 1000.0
    assert [host for host, _ in listener.sources] == ["127.0.0.1"]


def test_booleans_become_one_and_zero(listener: Listener) -> None:
    listener.receive(build(PREFIX + "Grounded", True, "T"))
    listener.receive(build(PREFIX + "AFK", False, "F"))
    assert (listener.value("Grounded"), listener.value("AFK")) == (1.0, 0.0)


def test_avatar_change_is_counted(listener: Listener) -> None:
    listener.receive(build(CHANGE, "avtr_2", "s"))
    assert listener.avatar_changes == 1


def test_unknown_names_and_non_numbers_are_dropped(listener: Listener) -> None:
    for datagram in (
        build(PREFIX + "TailWag", 1.0, "f"),
        build(PREFIX + "VelocityX", float("nan"), "f"),
        build(PREFIX + "VelocityX", float("inf"), "f"),
        build(PREFIX + "VelocityX", "fast", "s"),
        b"garbage",
    ):
        listener.receive(datagram)
    assert np.isnan(listener.values()).all()
    assert listener.malformed == 3
    assert listener.received == 2


def test_bundled_parameters_are_received(listener: Listener) -> None:
    parts = [build(PREFIX + name, 0.5, "f") for name in ("VelocityX", "Upright")]
    listener.receive(bundle(parts[0], bundle(parts[1])))
    assert (listener.value("VelocityX"), listener.value("Upright")) == (0.5, 0.5)
    assert (listener.received, listener.malformed) == (2, 0)


def test_two_programs_that_send_in_turns_are_named_once(
    listener: Listener, capsys: pytest.CaptureFixture[str]
) -> None:
    upright = build(PREFIX + "Upright", 1.0, "f")
    for port in (1, 1, 2, 2):
        listener.receive(upright, ("127.0.0.1", port))
    assert capsys.readouterr().err == "", "a client may have been started again"
    for port in (1, 2, 1):
        listener.receive(upright, ("127.0.0.1", port))
    (line,) = capsys.readouterr().err.splitlines()
    assert "127.0.0.1:1, 127.0.0.1:2" in line and "mixed" in line


def test_values_are_a_copy(listener: Listener) -> None:
    values = listener.values()
    listener.receive(build(PREFIX + "Upright", 1.0, "f"))
    assert np.isnan(values).all()


def test_error_names_the_holder_of_a_taken_port(listener: Listener) -> None:
    with pytest.raises(PortTakenError, match=rf"UDP port {listener.port} is taken by .*close"):
        Listener(port=listener.port)


def test_closed_listener_releases_its_port() -> None:
    listener = Listener(port=0)
    listener.close()
    listener.close()
    bind_udp("127.0.0.1", listener.port).close()


@pytest.mark.skipif(not os.path.exists("/proc/net/udp"), reason="known from /proc")  # noqa: PTH110
def test_udp_holders_are_processes(listener: Listener) -> None:
    assert os.getpid() in udp_holders(listener.port)
    free = bind_udp("127.0.0.1", 0)
    port = free.getsockname()[1]
    free.close()
    assert udp_holders(port) == {}


def test_foreign_address_is_not_reported_as_a_taken_port() -> None:
    with pytest.raises(OSError, match=r"cannot listen on 192\.0\.2\.1") as failure:
        bind_udp("192.0.2.1", 0)
    assert not isinstance(failure.value, PortTakenError)
