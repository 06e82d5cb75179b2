"""The program `python -m agent.worlds`, tested from outside."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from pythonosc.udp_client import SimpleUDPClient

from agent.osc.parameters import CHANGE, PREFIX
from agent.osc.parse import read_message
from agent.osc.query import find_clients
from agent.worlds.embedded.emulator.avatar import avatar_parameters
from agent.worlds.embedded.emulator.main import main
from agent.worlds.embedded.physics import Body
from agent.worlds.embedded.scenes.street import Street

PATIENCE = 30.0
"""Seconds before a test that waits for the program gives up."""


@contextmanager
def emulator(*options: str, **environment: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Run the program on a free port; gives the process and the port."""
    process = subprocess.Popen(
        [sys.executable, "-m", "agent.worlds", "--osc_in=0", *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        line = process.stdout.readline()
        found = re.match(r"OSC in on (\d+)", line)
        assert found, f"the program printed {line!r}"
        yield process, int(found.group(1))
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


@pytest.fixture
def receiver() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(PATIENCE)
        yield receiver


def receive_until(receiver: socket.socket, address: str, value: object) -> list[str]:
    """Receive until `address` has `value`; returns all addresses received."""
    received = []
    while True:
        message = read_message(receiver.recv(4096))
        received.append(message[0])
        if message == (address, value):
            return received


def test_emulator_sends_avatar_parameters_and_obeys_inputs(receiver: socket.socket) -> None:
    out = receiver.getsockname()[1]
    options = ("--window=false", f"--osc_out={out}", "--width=32", "--height=32")
    with emulator(*options) as (process, port), SimpleUDPClient("127.0.0.1", port) as client:
        first = receive_until(receiver, PREFIX + "Upright", 1.0)
        assert first[0] == CHANGE
        assert set(first[1:]) <= {PREFIX + name for name in avatar_parameters(Body(0, 0, 0))}
        client.send_message("/input/Vertical", 1)
        receive_until(receiver, PREFIX + "VelocityZ", 2.0)
        client.send_message("/input/Jump", True)
        receive_until(receiver, PREFIX + "Grounded", False)
        receive_until(receiver, PREFIX + "Grounded", True)
        client.send_message("/input/Vertical", 0)
        received = receive_until(receiver, PREFIX + "VelocityZ", 0.0)
        assert PREFIX + "AFK" not in received
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0


def test_emulator_prints_received_messages_and_stops_after_its_seconds() -> None:
    options = ("--window=false", "--osc_out=0", "--log_osc=true", "--seconds=2")
    with emulator(*options) as (process, port), SimpleUDPClient("127.0.0.1", port) as client:
        client.send_message("/input/Vertical", 1)
        assert process.stdout is not None
        assert re.match(r"osc \d+\.\d+ /input/Vertical 1\n", process.stdout.readline())
        assert process.wait(PATIENCE) == 0


def test_taken_port_is_one_clear_line(
    receiver: socket.socket, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    port = receiver.getsockname()[1]
    options = ("--window=false", "--width=32", "--height=32", f"--osc_in={port}")
    monkeypatch.setattr(sys, "argv", ["worlds", *options])
    assert main() == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: UDP port {port} is taken")


def test_wrong_options_and_failing_scenes_are_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scene = f"{Broken.__module__}.{Broken.__qualname__}"
    for option, words in (
        ("--osc_in=70000", "osc_in=70000: must be"),
        ("--width=0", "width=0: must be"),
        ("--window_size=[0, 5]", "window_size=(0, 5): must be"),
        ("--seed=-1", "seed=-1: must be"),
        ("--rate=60", "rate must be one of 1, 2, 3, 5"),
        ("--faults=true", "faults need a window"),
        (f"--scene={scene}", "Broken cannot be built: KeyError: 'gone'"),
        ("--scene=agent.worlds.Nope", "agent.worlds.Nope"),
        ("--widht=3", "--widht=3"),
    ):
        monkeypatch.setattr(sys, "argv", ["worlds", "--window=false", option])
        assert main() == 2
        printed = capsys.readouterr().err
        assert words in printed and printed.count("\n") == 1


class Broken(Street):
    """Its constructor fails."""

    def __init__(self) -> None:
        raise KeyError("gone")


def test_avatar_velocities_are_in_the_avatar_frame() -> None:
    body = Body(0.0, 0.0, np.pi / 2, velocity=(2.0, 0.5, -1.0), angular_velocity=0.7)
    parameters = avatar_parameters(body)
    assert parameters["VelocityZ"] == pytest.approx(2.0)
    assert parameters["VelocityX"] == pytest.approx(-0.5)
    assert parameters["VelocityY"] == -1.0
    assert parameters["AngularY"] == 0.7
    assert parameters["Grounded"] is True


@pytest.mark.slow
def test_two_emulators_are_found_on_the_network() -> None:
    pytest.importorskip("zeroconf")
    options = ("--window=false", "--osc_out=0", "--oscquery=true")
    with emulator(*options) as (_, first), emulator(*options) as (_, second):
        found = find_clients(10.0)
    assert {first, second} <= {client.osc_port for client in found if client.local}
    assert len({client.name for client in found}) == len(found)
