"""`python -m agent.check`: tests capture and OSC with VRChat, one step at a time.

Finds the window, captures it into a PNG, tries OSC out, OSC in and OSCQuery, then, after asking,
moves the avatar for a second in each way. Prints a table of what works and what to do about the
rest. Exit codes: 0 all works, 1 something does not, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.table import Table

from agent.capture.base import CaptureError, FrameSource
from agent.capture.screen import Screen
from agent.osc.parameters import Listener
from agent.osc.ports import input_takers, is_local
from agent.osc.query import Found, OscQueryError, find_clients
from agent.osc.sender import OscSender
from agent.osc.watchdog import Watchdog
from agent.worlds.vrchat.frame_check import DARK, FLAT
from pamiq_lightning.utils.console import open_missing_streams, safe_stream
from pamiq_lightning.utils.ranges import FreeOrPort, Port, option

RATE_HZ = 10
MOVE_S = 1.0
CHANGED = 2.0
"""Mean change of a pixel (of 255) above which the frame has changed."""
MOVES = {
    "forward": (1, 0, 0, 0, 0),
    "backward": (2, 0, 0, 0, 0),
    "right": (0, 1, 0, 0, 0),
    "left": (0, 2, 0, 0, 0),
    "turn right": (0, 0, 1, 0, 0),
    "turn left": (0, 0, 2, 0, 0),
    "jump": (0, 0, 0, 1, 0),
    "run": (1, 0, 0, 0, 1),
}


class Finding(NamedTuple):
    """Result of one step."""

    step: str
    works: bool | None
    """None where it could not be tried or is inconclusive."""
    detail: str


@dataclass
class Context:
    """What the steps share."""

    host: str
    port: int
    title: str
    listen: int
    picture: Path
    ask: Callable[[str], str]
    sleep: Callable[[float], None]
    source: FrameSource | None = None
    sender: OscSender | None = None
    watchdog: Watchdog | None = None
    listener: Listener | None = None


def _ask(prompt: str) -> str:
    safe_stream().write(prompt)
    return input()


def main(
    arguments: Sequence[str] | None = None,
    ask: Callable[[str], str] = _ask,
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Check everything; return the exit code."""
    open_missing_streams()
    options = _parse(arguments)
    context = Context(
        options.host, options.port, options.title, options.listen, options.picture, ask, sleep
    )
    console = Console(file=safe_stream())
    findings = []
    with ExitStack() as parts:
        steps = [step(context, parts) for step in (capture, send, receive)]
        if options.oscquery:
            steps.append(query(context))
        if options.move:
            steps.append(move(context))
        try:
            for step in steps:
                for finding in step:
                    console.print(f"{_mark(finding)} {finding.step}: {finding.detail}")
                    findings.append(finding)
        except (KeyboardInterrupt, EOFError):
            console.print("Stopped; all inputs are released.")
    console.print(table(findings))
    return 0 if all(finding.works is not False for finding in findings) else 1


def capture(context: Context, parts: ExitStack) -> Iterator[Finding]:
    """Find the window and capture it for a second."""
    if context.source is None:
        try:
            find_takers = partial(input_takers, context.host, context.port)
            screen = Screen(360, context.title, find_takers=find_takers)
        except CaptureError as error:
            yield Finding("window", False, str(error))
            return
        context.source, area = screen, screen.area
        place = f"{area.width} x {area.height} pixels at {area.left}, {area.top}"
        yield Finding("window", True, "; ".join((place, *screen.notes)))
    parts.callback(context.source.close)
    durations = []
    try:
        for _ in range(RATE_HZ):
            context.sleep(1 / RATE_HZ)
            begun = time.perf_counter()
            frame = context.source.read()
            durations.append(time.perf_counter() - begun)
    except CaptureError as error:
        yield Finding("capture", False, str(error))
        return
    wrong, picture = blank(frame), f"see {context.picture}"
    try:
        Image.fromarray(frame.transpose(1, 2, 0)).save(context.picture)
    except (OSError, ValueError) as error:
        # The check goes on: only --picture names a place or a kind of file that cannot be written.
        picture = f"{context.picture} is not written: {error}"
    took = f"{1000 * statistics.median(durations):.1f} ms a capture; {picture}"
    yield Finding("capture", wrong is None, f"{wrong}; {took}" if wrong else took)


def blank(frame: NDArray[np.uint8]) -> str | None:
    """Return why a frame (3, H, W) is blank, or None."""
    if frame.max() <= DARK:
        return (
            "the frame is black: under Wayland log in to an X11 session or use an OBS "
            "camera; with two graphics cards run VRChat on the one that draws the screen"
        )
    if np.ptp(frame.reshape(3, -1), axis=1).max() <= FLAT:
        return "the frame is of one colour: is another window in front of VRChat?"
    return None


def send(context: Context, parts: ExitStack) -> Iterator[Finding]:
    """Send neutral to VRChat's port, with the watchdog running."""
    try:
        context.watchdog = Watchdog(context.host, context.port)
        parts.callback(context.watchdog.close)
        context.sender = OscSender(context.host, context.port)
        parts.callback(context.sender.close)
    except (OSError, RuntimeError) as error:
        yield Finding("OSC out", False, str(error))
        return
    context.sender.release_inputs()
    if context.sender.send_errors:
        yield Finding(
            "OSC out",
            False,
            f"nobody listens at {context.host}:{context.port}: start VRChat, and switch OSC on in "
            "its action menu (Options, OSC, Enabled)",
        )
    else:
        yield Finding("OSC out", True, f"{context.host}:{context.port} takes messages")


def receive(context: Context, parts: ExitStack) -> Iterator[Finding]:
    """Listen for avatar parameters; VRChat sends them when they change."""
    try:
        context.listener = Listener(context.listen)
    except OSError as error:
        yield Finding("OSC in", False, str(error))
        return
    parts.callback(context.listener.close)
    context.sleep(1.0)
    received, senders = context.listener.received, len(context.listener.sources)
    yield Finding(
        "OSC in",
        True if received else None,
        f"listening on port {context.listener.port}, {received} messages"
        + (f" from {senders} programs, whose values are mixed" if senders > 1 else "")
        + ("" if received else " so far (an avatar that stands still sends none)"),
    )


def query(context: Context) -> Iterator[Finding]:
    """Find VRChat by OSCQuery, which is optional; every client that answers is named."""
    try:
        clients = find_clients()
    except OscQueryError as error:
        yield Finding("OSCQuery", None, str(error))
        return
    if not clients:
        yield Finding("OSCQuery", None, "VRChat does not announce itself; fixed ports are used")
        return
    local = is_local(context.host)
    meant = [c for c in clients if c.local == local and c.osc_port == context.port]
    named = "; ".join(map(_describe, clients))
    if meant:
        chosen = f"; --port {context.port} is {meant[0].name}" if len(clients) > 1 else ""
        yield Finding("OSCQuery", True, named + chosen)
    else:
        advice = (
            f"none is at {context.host}:{context.port}: choose one (here --port, in a run osc_port)"
        )
        yield Finding("OSCQuery", False, f"{named}; {advice}")


def _describe(client: Found) -> str:
    where = "this machine" if client.local else client.host
    port = "gives no port" if client.osc_port is None else f"takes OSC on port {client.osc_port}"
    return f"{client.name} on {where} {port}"


def move(context: Context) -> Iterator[Finding]:
    """Move one second in each way, after asking; report the change seen and the speed received."""
    if context.sender is None or context.watchdog is None:
        yield Finding("moving", None, "not tried: nothing can be sent")
        return
    for name, action in MOVES.items():
        answer = context.ask(f"Move the avatar: {name}? [Enter: yes, s: skip, q: stop] ").strip()
        if answer == "q":
            return
        if answer == "s":
            yield Finding(name, None, "skipped")
            continue
        yield _move(context, context.sender, context.watchdog, name, np.array(action))


def _move(
    context: Context, sender: OscSender, watchdog: Watchdog, name: str, action: NDArray[np.int64]
) -> Finding:
    before, speed = _capture(context), 0.0
    for _ in range(round(MOVE_S * RATE_HZ)):
        watchdog.beat()
        sender.act(action)
        context.sleep(1 / RATE_HZ)
        if context.listener is not None:
            speed = max(speed, context.listener.value("VelocityMagnitude"))
    after = _capture(context)
    sender.release_inputs()
    watchdog.release_inputs()
    details, moved = [], False
    if before is not None and after is not None:
        moved = float(np.abs(after.astype(np.int16) - before).mean()) > CHANGED
        details.append(f"the frame {'changed' if moved else 'did not change'}")
    if speed > 0.0:
        details.append(f"up to {speed:.1f} m/s")
    if not details:
        return Finding(name, None, "sent; no frame and no speed to confirm it: look yourself")
    return Finding(name, moved or speed > 0.0, ", ".join(details))


def _capture(context: Context) -> NDArray[np.uint8] | None:
    try:
        return context.source.read() if context.source is not None else None
    except CaptureError:
        return None  # The capture step has reported it.


def table(findings: Sequence[Finding]) -> Table:
    """Return the findings as a table."""
    shown = Table("step", "works", "detail")
    for finding in findings:
        shown.add_row(finding.step, _mark(finding), finding.detail)
    return shown


def _mark(finding: Finding) -> str:
    return {True: "[green]yes[/]", False: "[red]no[/]", None: "-"}[finding.works]


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m agent.check", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="where VRChat runs")
    port, free_or_port = option(Port), option(FreeOrPort)
    parser.add_argument("--port", type=port, default=9000, help="UDP port that VRChat listens on")
    parser.add_argument(
        "--listen", type=free_or_port, default=9001, help="UDP port that VRChat sends to"
    )
    parser.add_argument("--title", default="VRChat", help="title of the window")
    parser.add_argument("--picture", type=Path, default=Path("vrchat.png"), help="PNG to write")
    parser.add_argument("--no-move", dest="move", action="store_false", help="do not move at all")
    parser.add_argument("--no-oscquery", dest="oscquery", action="store_false")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
