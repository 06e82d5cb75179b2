"""F6, F7, and VRChat's port in F12: lossy UDP, no receiver, malformed data, a port in use."""

from __future__ import annotations

import os
import random
import socket
import time
from contextlib import closing

import psutil
from pythonosc.osc_message_builder import OscMessageBuilder

from agent.osc.parameters import PREFIX, Listener
from agent.osc.parse import NotOscError, read_message
from agent.osc.ports import bind_udp
from tools.agent_process import END_LIMIT_S, free_udp_port
from tools.faults.instances import REFUSED, REFUSED_S
from tools.faults.outcome import Outcome
from tools.faults.relay import Heard, Relay
from tools.faults.subject import Client, VRChatAgent

HEALED_S = 1.0
_AXES = ("/input/Vertical", "/input/Horizontal", "/input/LookHorizontal", "/input/Run")
_DATAGRAMS = 100_000


def run(trials: int) -> list[Outcome]:
    """Inject all; the lossy network lasts ten seconds for each trial."""
    with closing(Client()) as client:
        lossy = _lossy(client, 10.0 * trials)
        return [lossy, _no_receiver(), *_second_instance(client), _malformed()]


def _lossy(client: Client, seconds: float) -> Outcome:
    """10 % lost, 10 % doubled: how long the client holds another input than the agent's."""
    outcome = Outcome("F6 10 % loss, 10 % doubled", "healed <= 1 s", HEALED_S, "s")
    with (
        closing(Relay(client.port, loss=0.1, doubled=0.1)) as relay,
        VRChatAgent(relay.port) as agent,
    ):
        agent.wait_until_moving(relay)
        time.sleep(seconds)
        heard = list(relay.heard)
    outcome.values.append(_longest_difference(heard))
    lost = sum(not message.delivered for message in heard)
    outcome.notes = f"{lost} of {len(heard)} messages lost"
    return outcome


def _longest_difference(heard: list[Heard]) -> float:
    """Return the longest time (s) for which an axis differed from what was sent last."""
    sent: dict[str, float] = {}
    held: dict[str, float] = {}
    wrong_since: dict[str, float] = {}
    worst = 0.0
    for message in (message for message in heard if message.address in _AXES):
        address = message.address
        sent[address] = message.value
        if message.delivered:
            held[address] = message.value
        if held.get(address) != sent[address]:
            wrong_since.setdefault(address, message.time)
        elif address in wrong_since:
            worst = max(worst, message.time - wrong_since.pop(address))
    return worst


def _no_receiver() -> Outcome:
    """The agent must keep running while VRChat's OSC is off."""
    outcome = Outcome("F6 receiver absent", "runs on for 5 s", 0, "")
    with closing(Client()), VRChatAgent(free_udp_port()) as agent:
        _ = agent.folder
        time.sleep(5.0)
        outcome.values.append(0.0 if agent.alive else None)
        outcome.notes = "" if agent.alive else agent.output[-300:]
    return outcome


def _second_instance(client: Client) -> list[Outcome]:
    """The port on which the agent listens is taken: once by this process, once by an agent."""
    with closing(Relay(client.port)) as relay:
        with bind_udp("127.0.0.1", 9001):
            outcomes = [_refused("F6 port 9001 taken", relay)]
        with VRChatAgent(relay.port) as first:
            first.wait_until_moving(relay)
            outcomes.append(_refused("F12 second instance", relay))
    return outcomes


def _refused(fault: str, relay: Relay) -> Outcome:
    outcome = Outcome(fault, REFUSED, REFUSED_S, "s")
    with VRChatAgent(relay.port) as agent:
        code = agent.process.wait(END_LIMIT_S)
        took = time.monotonic() - agent.started
    outcome.values.append(took if code != 0 and "9001 is taken by" in agent.output else None)
    outcome.notes = agent.output.strip().splitlines()[-1][:100]
    return outcome


def _malformed() -> Outcome:
    """Flood a listener with malformed datagrams; it must still receive, and keep no memory."""
    outcome = Outcome(f"F7 {_DATAGRAMS} malformed datagrams", "leak <= 1 MB", 1.0, "MB")
    listener = Listener(port=0)
    process = psutil.Process(os.getpid())
    rng = random.Random(0)
    good = _message(1.0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:

        def send(count: int) -> None:
            for number in range(count):
                sender.sendto(_malformed_datagram(rng, good), ("127.0.0.1", listener.port))
                if number % 50 == 0:
                    time.sleep(0.001)  # The system would drop some.

        send(_DATAGRAMS // 10)
        before = process.memory_info().rss
        send(_DATAGRAMS)
        grown = (process.memory_info().rss - before) / 1e6
        sender.sendto(_message(0.25), ("127.0.0.1", listener.port))
        time.sleep(0.5)
    receives = listener.value("VelocityX") == 0.25
    outcome.values.append(max(grown, 0.0) if receives else None)
    outcome.notes = f"{listener.malformed} refused, {'still' if receives else 'no longer'} receives"
    listener.close()
    return outcome


def _message(value: float) -> bytes:
    builder = OscMessageBuilder(PREFIX + "VelocityX")
    builder.add_arg(value)
    return bytes(builder.build().dgram)


def _malformed_datagram(rng: random.Random, good: bytes) -> bytes:
    """Return a datagram that is no plain OSC message."""
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
