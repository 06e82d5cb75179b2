"""F2: the agent is stopped, killed, broken or hung, and the avatar must not walk on."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable
from contextlib import closing

from pamiq_lightning.utils.console import safe_print
from tools.faults.outcome import Outcome
from tools.faults.relay import Relay
from tools.faults.subject import RATE_HZ, Client, VRChatAgent

SOON_MS = 100.0
WATCHDOG_MS = 700.0
_HANG_S = 10.0
_QUIET_S = 1.5


def run(trials: int) -> list[Outcome]:
    """Spread the trials over all six ways to end; fewer trials try only the first ones."""
    ways: dict[str, tuple[float, Callable[[VRChatAgent], float]]] = {
        "SIGINT": (SOON_MS, _signal(signal.SIGINT)),
        "SIGTERM": (SOON_MS, _signal(signal.SIGTERM)),
        "exception in the actor": (SOON_MS, lambda agent: agent.fail("raise")),
        "SIGKILL of the agent": (WATCHDOG_MS, _kill),
        "SIGKILL of all but the watchdog": (WATCHDOG_MS, _kill_all),
        "hang of 10 s": (WATCHDOG_MS, lambda agent: agent.fail(f"hang {_HANG_S}")),
    }
    outcomes = {
        name: Outcome(f"F2 {name}", f"all neutral <= {limit:.0f} ms, and stays so", limit, "ms")
        for name, (limit, _) in ways.items()
    }
    rng = random.Random(0)
    with closing(Client()) as client:
        for trial in range(trials):
            name = list(ways)[trial % len(ways)]
            with (
                closing(Relay(client.port)) as relay,
                VRChatAgent(relay.port, "vrchat.listen=off") as agent,
            ):
                agent.wait_until_moving(relay)
                time.sleep(0.5 + rng.random())
                while not relay.moving():
                    time.sleep(1 / RATE_HZ)
                began = ways[name][1](agent)
                outcomes[name].values.append(_measure(relay, began, hangs="hang" in name))
            safe_print(f"{outcomes[name].fault}: {outcomes[name].values[-1]} ms")
    return [outcome for outcome in outcomes.values() if outcome.values]


def _measure(relay: Relay, began: float, hangs: bool) -> float | None:
    """Return how long it took until everything was neutral for good (ms)."""
    at = relay.wait_until_neutral(began, 5.0)
    time.sleep(_QUIET_S)
    if at is None or relay.moved(at, at + _QUIET_S):
        return None
    if hangs:
        # It must move again by itself when the hang ends.
        relay.wait_until_moving(_HANG_S + 5.0, since=at)
    return 1000 * (at - began)


def _signal(number: signal.Signals) -> Callable[[VRChatAgent], float]:
    def send(agent: VRChatAgent) -> float:
        began = time.monotonic()
        agent.process.send_signal(number)
        return began

    return send


def _kill(agent: VRChatAgent) -> float:
    began = time.monotonic()
    agent.process.kill()
    return began


def _kill_all(agent: VRChatAgent) -> float:
    processes = agent.processes()
    random.Random(len(processes)).shuffle(processes)
    began = time.monotonic()
    for process in processes:
        process.kill()
    return began
