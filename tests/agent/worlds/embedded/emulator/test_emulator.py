"""The program `python -m agent.worlds`, seen from outside."""

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

from agent.osc.parse import read_message
from agent.osc.query import find_vrchat
from agent.worlds.embedded.emulator.avatar import CHANGE, PREFIX, parameters
from agent.worlds.embedded.physics import Body

PATIENCE = 30.0
"""Seconds before a test that waits for the program gives up."""


@contextmanager
def emulator(*options: str, **environment: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Run the program on a free port; gives the process and the port."""
    process = subprocess.Popen(
        [sys.executable, "-m", "agent.worlds", "--osc_in=0", *options],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        found = re.match(r"OSC in on (\d+)", line)
        assert found, f"the program said {line!r}"
        yield process, int(found.group(1))
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture
def ear() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ear:
        ear.bind(("127.0.0.1", 0))
        ear.settimeout(PATIENCE)
        yield ear


def hear(ear: socket.socket, address: str, value: object) -> list[str]:
    """Listen until `address` has `value`; returns the addresses heard on the way."""
    heard = []
    while True:
        message = read_message(ear.recv(4096))
        heard.append(message[0])
        if message == (address, value):
            return heard


def test_it_tells_what_vrchat_tells_and_obeys(ear: socket.socket) -> None:
    options = ("--window=false", f"--osc_out={ear.getsockname()[1]}", "--width=32", "--height=32")
    with emulator(*options) as (process, port), SimpleUDPClient("127.0.0.1", port) as client:
        first = hear(ear, PREFIX + "Upright", 1.0)
        assert first[0] == CHANGE
        assert set(first[1:]) <= {PREFIX + name for name in parameters(Body(0, 0, 0))}
        client.send_message("/input/Vertical", 1)
        hear(ear, PREFIX + "VelocityZ", 2.0)
        client.send_message("/input/Jump", True)
        hear(ear, PREFIX + "Grounded", False)
        hear(ear, PREFIX + "Grounded", True)
        client.send_message("/input/Vertical", 0)
        heard = hear(ear, PREFIX + "VelocityZ", 0.0)
        assert PREFIX + "AFK" not in heard
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0


def test_a_taken_port_is_one_clear_line(ear: socket.socket) -> None:
    port = ear.getsockname()[1]
    program = subprocess.run(
        [sys.executable, "-m", "agent.worlds", f"--osc_in={port}", "--window=false"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert program.returncode == 1
    assert program.stderr.count("\n") == 1
    assert f"UDP port {port} is taken" in program.stderr


def test_a_rate_must_divide_thirty() -> None:
    program = subprocess.run(
        [sys.executable, "-m", "agent.worlds", "--rate=60", "--window=false"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert program.returncode == 1 and "rate must be one of 1, 2, 3, 5" in program.stderr


def test_velocities_are_the_avatars_own() -> None:
    body = Body(0.0, 0.0, np.pi / 2, velocity=(2.0, 0.5, -1.0), angular_velocity=0.7)
    told = parameters(body)
    assert told["VelocityZ"] == pytest.approx(2.0)
    assert told["VelocityX"] == pytest.approx(-0.5)
    assert told["VelocityY"] == -1.0
    assert told["AngularY"] == 0.7
    assert told["Grounded"] is True


@pytest.mark.slow
def test_it_can_be_found_on_the_network() -> None:
    pytest.importorskip("zeroconf")
    with emulator("--window=false", "--osc_out=0", "--oscquery=true") as (_, port):
        found = find_vrchat(10.0)
    assert found is not None and found.osc_port == port
