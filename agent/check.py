"""`python -m agent.check`: whether the agent can see, hear and move in VRChat, one step at a time.

Looks for the window, captures it into a PNG, tries OSC out, OSC in and OSCQuery, and then, after
asking, moves the avatar for a second in each way. Prints a table of what works and what to do about
the rest. Exit codes: 0 all works, 1 something does not, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
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
from agent.osc.query import OscQueryError, find_vrchat
from agent.osc.sender import OscSender
from agent.osc.watchdog import Watchdog
from agent.worlds.vrchat.frame_check import DARK, FLAT

RATE_HZ = 10
MOVE_S = 1.0
CHANGED = 2.0
"""Mean change of a pixel (of 255) above which the picture has changed."""
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
    """What one step found."""

    step: str
    works: bool | None
    """None where it could not be tried, or says nothing by itself."""
    detail: str


@dataclass
class Body:
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


def main(
    arguments: Sequence[str] | None = None,
    ask: Callable[[str], str] = input,
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Check everything; return the exit code."""
    options = _parse(arguments)
    body = Body(
        options.host, options.port, options.title, options.listen, options.picture, ask, sleep
    )
    console = Console()
    findings = []
    with ExitStack() as parts:
        steps: list[Iterator[Finding]] = [see(body, parts), speak(body, parts), listen(body, parts)]
        if options.oscquery:
            steps.append(query())
        if options.move:
            steps.append(move(body))
        try:
            for step in steps:
                for finding in step:
                    console.print(f"{_mark(finding)} {finding.step}: {finding.detail}")
                    findings.append(finding)
        except (KeyboardInterrupt, EOFError):
            console.print("Stopped; the avatar is at rest.")
    console.print(table(findings))
    return 0 if all(finding.works is not False for finding in findings) else 1


def see(body: Body, parts: ExitStack) -> Iterator[Finding]:
    """Find the window and look at it for a second."""
    if body.source is None:
        try:
            screen = Screen(360, body.title)
        except CaptureError as error:
            yield Finding("window", False, str(error))
            return
        body.source = screen
        area = screen.area
        yield Finding(
            "window", True, f"{area.width} x {area.height} pixels at {area.left}, {area.top}"
        )
    parts.callback(body.source.close)
    looks = []
    try:
        for _ in range(RATE_HZ):
            body.sleep(1 / RATE_HZ)
            begun = time.perf_counter()
            frame = body.source.read()
            looks.append(time.perf_counter() - begun)
    except CaptureError as error:
        yield Finding("capture", False, str(error))
        return
    Image.fromarray(frame.transpose(1, 2, 0)).save(body.picture)
    wrong = blank(frame)
    took = f"{1000 * sorted(looks)[len(looks) // 2]:.1f} ms a look; see {body.picture}"
    yield Finding("capture", wrong is None, f"{wrong}; {took}" if wrong else took)


def blank(frame: NDArray[np.uint8]) -> str | None:
    """Return what is wrong with a frame (3, H, W) that shows nothing, or None."""
    if frame.max() <= DARK:
        return (
            "the picture is black: under Wayland log in to an X11 session or look through an OBS "
            "camera; with two graphics cards run VRChat on the one that draws the screen"
        )
    if np.ptp(frame.reshape(3, -1), axis=1).max() <= FLAT:
        return "the picture is one colour: is another window in front of VRChat?"
    return None


def speak(body: Body, parts: ExitStack) -> Iterator[Finding]:
    """Send neutral to VRChat's port, with the watchdog running."""
    try:
        body.watchdog = Watchdog(body.host, body.port)
        parts.callback(body.watchdog.close)
        body.sender = OscSender(body.host, body.port)
        parts.callback(body.sender.close)
    except (OSError, RuntimeError) as error:
        yield Finding("OSC out", False, str(error))
        return
    body.sender.release_inputs()
    if body.sender.send_errors:
        yield Finding(
            "OSC out",
            False,
            f"nobody listens at {body.host}:{body.port}: start VRChat, and switch OSC on in its "
            "action menu (Options, OSC, Enabled)",
        )
    else:
        yield Finding("OSC out", True, f"{body.host}:{body.port} takes messages")


def listen(body: Body, parts: ExitStack) -> Iterator[Finding]:
    """Listen for avatar parameters; VRChat sends them when they change."""
    try:
        body.listener = Listener(body.listen)
    except OSError as error:
        yield Finding("OSC in", False, str(error))
        return
    parts.callback(body.listener.close)
    body.sleep(1.0)
    heard = body.listener.heard
    yield Finding(
        "OSC in",
        True if heard else None,
        f"listening on port {body.listener.port}, {heard} messages"
        + ("" if heard else " so far (an avatar that stands still sends none)"),
    )


def query() -> Iterator[Finding]:
    """Look for VRChat by OSCQuery, which is a convenience and may be missing."""
    try:
        found = find_vrchat()
    except OscQueryError as error:
        yield Finding("OSCQuery", None, str(error))
        return
    if found is None:
        yield Finding("OSCQuery", None, "VRChat does not announce itself; fixed ports are used")
    else:
        yield Finding("OSCQuery", True, f"{found.name} takes OSC on port {found.osc_port}")


def move(body: Body) -> Iterator[Finding]:
    """Move one second in each way, after asking, and tell what could be seen and heard of it."""
    if body.sender is None or body.watchdog is None:
        yield Finding("moving", None, "not tried, for nothing can be sent")
        return
    for name, action in MOVES.items():
        answer = body.ask(f"Move the avatar: {name}? [Enter: yes, s: skip, q: stop] ").strip()
        if answer == "q":
            return
        if answer == "s":
            yield Finding(name, None, "skipped")
            continue
        yield _move(body, body.sender, body.watchdog, name, np.array(action))


def _move(
    body: Body,
    sender: OscSender,
    watchdog: Watchdog,
    name: str,
    action: NDArray[np.int64],
) -> Finding:
    before, speed = _look(body), 0.0
    for _ in range(round(MOVE_S * RATE_HZ)):
        watchdog.beat()
        sender.act(action)
        body.sleep(1 / RATE_HZ)
        if body.listener is not None:
            speed = max(speed, body.listener.value("VelocityMagnitude"))
    after = _look(body)
    sender.release_inputs()
    watchdog.release_inputs()
    told = []
    if before is not None and after is not None:
        change = float(np.abs(after.astype(np.int16) - before).mean())
        told.append(f"the picture {'changed' if change > CHANGED else 'did not change'}")
        moved = change > CHANGED
    else:
        moved = False
    if speed > 0.0:
        told.append(f"up to {speed:.1f} m/s")
    if not told:
        return Finding(name, None, "sent; neither seen nor heard, so look yourself")
    return Finding(name, moved or speed > 0.0, ", ".join(told))


def _look(body: Body) -> NDArray[np.uint8] | None:
    try:
        return body.source.read() if body.source is not None else None
    except CaptureError:
        return None  # Said already by the step that looked.


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
    parser.add_argument("--port", type=int, default=9000, help="UDP port that VRChat listens on")
    parser.add_argument("--listen", type=int, default=9001, help="UDP port that VRChat sends to")
    parser.add_argument("--title", default="VRChat", help="title of the window")
    parser.add_argument("--picture", type=Path, default=Path("vrchat.png"), help="PNG to write")
    parser.add_argument("--no-move", dest="move", action="store_false", help="do not move at all")
    parser.add_argument("--no-oscquery", dest="oscquery", action="store_false")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
