"""F6, F7, and VRChat's port in F12: lossy UDP, nobody there, nonsense, a port that is taken."""

from __future__ import annotations

import os
import random
import socket
import time

import psutil

from agent.osc.parameters import PREFIX, Listener
from agent.osc.parse import NotOscError, read_message
from agent.osc.ports import bind_udp
from tools.faults.outcome import Outcome
from tools.faults.relay import Relay
from tools.faults.subject import Agent, Client, wait_until_alive

HEALED_S = 1.0
REFUSED_S = 2.0
_AXES = ("/input/Vertical", "/input/Horizontal", "/input/LookHorizontal", "/input/Run")
_DATAGRAMS = 100_000


def run(trials: int) -> list[Outcome]:
    """Run all of it; `trials` times ten seconds of lossy life."""
    client = Client()
    try:
        return [
            _lossy(client, 10.0 * trials),
            _nobody_there(),
            *_second_instance(client),
            _malformed(),
        ]
    finally:
        client.close()


def _lossy(client: Client, seconds: float) -> Outcome:
    """10 % lost, 10 % doubled: how long the client holds something else than it was told."""
    outcome = Outcome("F6 10 % loss, 10 % doubled", "healed <= 1 s", HEALED_S, "s")
    relay = Relay(client.port, loss=0.1, doubled=0.1)
    agent = Agent(relay.port)
    try:
        wait_until_alive(agent, relay)
        time.sleep(seconds)
        heard = list(relay.heard)
    finally:
        agent.close()
        relay.close()
    told: dict[str, float] = {}
    held: dict[str, float] = {}
    wrong_since: dict[str, float] = {}
    worst = 0.0
    for message in (message for message in heard if message.address in _AXES):
        address = message.address
        told[address] = message.value
        if message.delivered:
            held[address] = message.value
        if held.get(address) != told[address]:
            wrong_since.setdefault(address, message.time)
        elif address in wrong_since:
            worst = max(worst, message.time - wrong_since.pop(address))
    lost = sum(not message.delivered for message in heard)
    outcome.values.append(worst)
    outcome.notes = f"{lost} of {len(heard)} messages lost"
    return outcome


def _nobody_there() -> Outcome:
    """The agent must live on when VRChat's OSC is off."""
    outcome = Outcome("F6 receiver absent", "lives on for 5 s", 0, "")
    client = Client()
    free = bind_udp("127.0.0.1", 0)
    port = free.getsockname()[1]
    free.close()
    agent = Agent(port)
    try:
        end = time.monotonic() + 60
        while "Run folder" not in agent.output and agent.alive and time.monotonic() < end:
            time.sleep(0.05)
        time.sleep(5.0)
        outcome.values.append(0.0 if agent.alive else None)
        outcome.notes = "" if agent.alive else agent.output[-300:]
    finally:
        agent.close()
        client.close()
    return outcome


def _second_instance(client: Client) -> list[Outcome]:
    """The port that the agent listens on is taken: once by us, once by another agent."""
    outcomes = []
    relay = Relay(client.port)
    taken = bind_udp("127.0.0.1", 9001)
    outcomes.append(_refused("F6 port 9001 taken", relay))
    taken.close()
    first = Agent(relay.port)
    try:
        wait_until_alive(first, relay)
        outcomes.append(_refused("F12 second instance", relay))
    finally:
        first.close()
        relay.close()
    return outcomes


def _refused(fault: str, relay: Relay) -> Outcome:
    required = f"exit code != 0 in <= {REFUSED_S:.0f} s, says who holds it"
    outcome = Outcome(fault, required, REFUSED_S, "s")
    agent = Agent(relay.port)
    try:
        code = agent.process.wait(60)
        took = time.monotonic() - agent.started
        agent.close()
        named = "9001 is taken by" in agent.output
        outcome.values.append(took if code != 0 and named else None)
        outcome.notes = agent.output.strip().splitlines()[-1][:100]
    finally:
        agent.close()
    return outcome


def _malformed() -> Outcome:
    """Flood a listener with nonsense, and see whether it still hears, and what it keeps."""
    outcome = Outcome(f"F7 {_DATAGRAMS} malformed datagrams", "leak <= 1 MB", 1.0, "MB")
    listener = Listener(port=0)
    process = psutil.Process(os.getpid())
    rng = random.Random(0)
    good = _message(1.0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:

        def send(count: int) -> None:
            for number in range(count):
                sender.sendto(_nonsense(rng, good), ("127.0.0.1", listener.port))
                if number % 50 == 0:
                    time.sleep(0.001)  # So that the system drops none of them.

        send(_DATAGRAMS // 10)
        before = process.memory_info().rss
        send(_DATAGRAMS)
        grown = (process.memory_info().rss - before) / 1e6
        sender.sendto(_message(0.25), ("127.0.0.1", listener.port))
        time.sleep(0.5)
    hears = listener.value("VelocityX") == 0.25
    outcome.values.append(max(grown, 0.0) if hears else None)
    outcome.notes = f"{listener.malformed} refused, {'still' if hears else 'no longer'} hears"
    listener.close()
    return outcome


def _message(value: float) -> bytes:
    from pythonosc.osc_message_builder import OscMessageBuilder

    builder = OscMessageBuilder(PREFIX + "VelocityX")
    builder.add_arg(value)
    return bytes(builder.build().dgram)


def _nonsense(rng: random.Random, good: bytes) -> bytes:
    """Return a datagram that is certainly not a plain OSC message."""
    while True:
        bad = bytearray(good if rng.random() < 0.7 else rng.randbytes(rng.randrange(200)))
        for _ in range(rng.randrange(1, 6)):
            if bad:
                bad[rng.randrange(len(bad))] = rng.randrange(256)
        bad = bad[: rng.randrange(len(bad) + 1)]
        try:
            read_message(bytes(bad))
        except NotOscError:
            return bytes(bad)
