"""F4 and F5: frames freeze, go black, slow down or change size; the window closes."""

from __future__ import annotations

import time
from contextlib import closing

from pamiq_lightning.utils.console import safe_print
from tools.faults.outcome import Outcome
from tools.faults.relay import Relay
from tools.faults.subject import Client, VRChatAgent

NOTICED_S = 2.0
CLOSED_S = 1.0
BACK_S = 5.0
_LASTS_S = 5.0
_NORMAL_S = 3.0
_REST_S = 0.3
"""Three ticks: a random policy is not neutral for so long."""


def run(trials: int) -> list[Outcome]:
    """Inject every fault of the capture in every trial."""
    outcomes: list[Outcome] = []
    with (
        closing(Client()) as client,
        closing(Relay(client.port)) as relay,
        VRChatAgent(relay.port, "vrchat.listen=off") as agent,
    ):
        agent.wait_until_moving(relay)
        time.sleep(_NORMAL_S)
        for fault, noticed_s, command, ending, times in (
            ("F4 frozen 5 s", NOTICED_S, "freeze", "fps 30", trials),
            ("F4 black 5 s", NOTICED_S, "black", "fps 30", trials),
            ("F4 2 frames a second", NOTICED_S, "fps 2", "fps 30", trials),
            ("F4 another size", NOTICED_S, "resize 640 400", "", 1),
            ("F5 window closed", CLOSED_S, "close", "open", trials),
        ):
            outcomes += _inject(fault, noticed_s, client, relay, command, ending, times)
        alive = [0.0 if agent.alive else None]
    return [*outcomes, Outcome("F4, F5", "the agent keeps running", 0, "", alive)]


def _at_rest(relay: Relay, since: float, limit_s: float) -> float | None:
    """Return when everything had become neutral and stayed so: a random policy pauses at times."""
    end = time.monotonic() + limit_s
    while (at := relay.wait_until_neutral(since, end - time.monotonic())) is not None:
        time.sleep(_REST_S)
        moved = relay.moved(at, at + _REST_S)
        if not moved:
            return at
        since = moved[-1]
    return None


def _inject(
    fault: str,
    noticed_s: float,
    client: Client,
    relay: Relay,
    command: str,
    ending: str,
    trials: int,
) -> list[Outcome]:
    noticed = Outcome(fault, f"inputs neutral <= {noticed_s:.0f} s", noticed_s, "s")
    back = Outcome(f"{fault}: over", f"moving again <= {BACK_S:.0f} s", BACK_S, "s")
    for _ in range(trials):
        began = client.send(command)
        at = _at_rest(relay, began, noticed_s + 2.0)
        noticed.values.append(None if at is None else at - began)
        if ending:
            time.sleep(max(0.0, began + _LASTS_S - time.monotonic()))
            if at is not None and (moved := relay.moved(at)):
                noticed.notes = f"moved without frames, {moved[0] - began:.1f} s after it began"
        over = client.send(ending) if ending else (at or began)
        try:
            back.values.append(relay.wait_until_moving(BACK_S + 2.0, since=over) - over)
        except TimeoutError:
            back.values.append(None)
        time.sleep(_NORMAL_S)
        safe_print(f"{fault}: noticed {noticed.values[-1]} s, back {back.values[-1]} s")
    return [noticed, back]
