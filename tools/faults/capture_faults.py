"""F4 and F5: the picture freezes, goes black, slows down, changes size; the window goes away."""

from __future__ import annotations

import time

from tools.faults.outcome import Outcome
from tools.faults.relay import Relay
from tools.faults.subject import Agent, Client, wait_until_alive

SEEN_S = 2.0
CLOSED_S = 1.0
BACK_S = 5.0
_LASTS_S = 5.0
_NORMAL_S = 3.0
_REST_S = 0.3
"""Three ticks: whoever is neutral that long is not so by chance."""


def run(trials: int) -> list[Outcome]:
    """Inject every fault of the picture so many times."""
    client = Client()
    relay = Relay(client.port)
    agent = Agent(relay.port, "vrchat.listen=off")
    try:
        wait_until_alive(agent, relay)
        time.sleep(_NORMAL_S)
        outcomes: list[Outcome] = []
        for name, command, ending in (
            ("frozen 5 s", "freeze", "fps 30"),
            ("black 5 s", "black", "fps 30"),
            ("2 pictures a second", "fps 2", "fps 30"),
        ):
            outcomes += _blind(f"F4 {name}", SEEN_S, (client, relay), command, ending, trials)
        outcomes += _blind("F4 another size", SEEN_S, (client, relay), "resize 640 400", "", 1)
        outcomes += _blind("F5 window closed", CLOSED_S, (client, relay), "close", "open", trials)
        outcomes.append(
            Outcome("F4, F5", "the agent lives on", 0, "", [0.0 if agent.alive else None])
        )
        return outcomes
    finally:
        agent.close()
        relay.close()
        client.close()


def _at_rest(relay: Relay, since: float, limit_s: float) -> float | None:
    """Return when everything had become neutral and stayed so: a random body pauses by chance."""
    end = time.monotonic() + limit_s
    while (at := relay.wait_until_neutral(since, end - time.monotonic())) is not None:
        time.sleep(_REST_S)
        moved = [h.time for h in relay.heard if at < h.time < at + _REST_S and h.value != 0.0]
        if not moved:
            return at
        since = moved[-1]
    return None


def _blind(
    fault: str,
    seen_s: float,
    pair: tuple[Client, Relay],
    command: str,
    ending: str,
    trials: int,
) -> list[Outcome]:
    client, relay = pair
    seen = Outcome(fault, f"inputs neutral <= {seen_s:.0f} s", seen_s, "s")
    back = Outcome(f"{fault}: over", f"moving again <= {BACK_S:.0f} s", BACK_S, "s")
    for _ in range(trials):
        began = client.notify(command)
        at = _at_rest(relay, began, seen_s + 2.0)
        seen.values.append(None if at is None else at - began)
        if ending:
            time.sleep(max(0.0, began + _LASTS_S - time.monotonic()))
            moved = [h for h in relay.heard if at is not None and h.time > at and h.value != 0.0]
            if moved:
                seen.notes = f"moved while blind, {moved[0].time - began:.1f} s after it began"
        over = client.notify(ending) if ending else (at or began)
        try:
            back.values.append(relay.wait_until_moving(BACK_S + 2.0, since=over) - over)
        except TimeoutError:
            back.values.append(None)
        time.sleep(_NORMAL_S)
        print(f"{fault}: seen {seen.values[-1]} s, back {back.values[-1]} s", flush=True)
    return [seen, back]
