"""How long it takes from a frame drawn, captured, encoded, acted on and sent to the next one drawn.

`python -m tools.bench.latency` opens a window whose picture changes whenever an input changes, as
VRChat would, and acts on it at the agent's rate, with the real capture, the real encoder and policy
(untrained), and real OSC over UDP. Needs an X display; `xvfb-run` will do.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pythonosc.osc_message import OscMessage

from agent.osc.ports import bind_udp
from agent.worlds.embedded.emulator.window import Window
from agent.worlds.vrchat.world import VRChat
from pamiq_lightning.utils.console import safe_print
from tools.agent_process import free_udp_port
from tools.bench.limits import Measurement, bench_main, measured
from tools.parts import build_parts, load_settings

TITLE = "pamiq-lightning bench"
_LEVELS = 200  # Grey levels that number the pictures; the rest keeps them from being black.
_FIRST_LEVEL = 40


def client(port: int, fps: float) -> None:
    """Be the window: number its pictures by their grey level, a new one for every changed input."""
    udp = bind_udp("127.0.0.1", port)
    udp.setblocking(False)
    window = Window(TITLE, (640, 480))
    picture, held, received_at = 0, 0.0, 0.0
    safe_print("ready")
    deadline = time.monotonic()
    noise = np.random.default_rng(0).integers(0, 256, (3, 48, 8), np.uint8)
    while True:
        changed = False
        for message in map(OscMessage, _datagrams(udp)):
            if message.address == "/input/Vertical" and message.params[0] != held:
                held, received_at, changed = message.params[0], time.monotonic(), True
        picture += changed
        frame = np.full((3, 48, 48), _FIRST_LEVEL + picture % _LEVELS, np.uint8)
        frame[:, :, :8] = noise
        window.handle_events()
        window.show(frame)
        if changed or picture == 0:
            safe_print(f"{picture} {received_at:.6f} {time.monotonic():.6f}")
        deadline += 1 / fps
        time.sleep(max(0.0, deadline - time.monotonic()))


def _datagrams(udp: Any) -> Iterable[bytes]:
    while True:
        try:
            yield udp.recv(4096)
        except BlockingIOError:
            return


def build_policy(conf: str) -> tuple[Callable[[NDArray[np.uint8]], None], int]:
    """Return what the agent computes between frame and action, and the side of its frames."""
    parts = build_parts(load_settings(f"conf={conf}"))
    encoder, policy = parts.acting["encoder"], parts.acting["policy"]
    state = torch.zeros(1, *parts.shape.state)

    @torch.inference_mode()
    def infer(frame: NDArray[np.uint8]) -> None:
        policy(encoder(torch.from_numpy(frame)[None]), state)

    return infer, parts.shape.frame_size


def answer(
    world: VRChat, infer: Callable[[NDArray[np.uint8]], None], rate: float, pictures: int
) -> dict[int, tuple[float, float, float]]:
    """Answer every new picture with a changed input.

    Returns:
        Per picture, when the tick began that observed it, when it was captured, and when the action
        was sent (monotonic s).
    """
    observed: dict[int, tuple[float, float, float]] = {}
    action = np.zeros(5, np.int64)
    deadline, level, number = time.monotonic(), -1, -1
    while number < pictures:
        deadline += 1 / rate
        time.sleep(max(0.0, deadline - time.monotonic()))
        begun = time.monotonic()
        frame, _ = world.observe()
        captured = time.monotonic()
        infer(frame)
        now_level = int(frame[0, frame.shape[1] // 2, frame.shape[2] // 2])
        if now_level != level:
            number += 1
            level = now_level
            action[0] = 1 - action[0]
        world.act(action)
        observed.setdefault(number, (begun, captured, time.monotonic()))
    return observed


def legs(
    observed: dict[int, tuple[float, float, float]], drawn: dict[int, tuple[float, float]]
) -> Iterator[Measurement]:
    """Yield p50 and p95 of every leg, in ms."""
    times: dict[str, list[float]] = defaultdict(list)
    for picture, (begun, captured, sent) in observed.items():
        if picture in drawn and picture + 1 in drawn:
            shown, (received, changed) = drawn[picture][1], drawn[picture + 1]
            for name, start, end in (
                ("drawn to tick (waiting for the rate)", shown, begun),
                ("capture", begun, captured),
                ("encode, policy, send", captured, sent),
                ("sent to read (client's next frame)", sent, received),
                ("read to picture changed", received, changed),
                ("latency: tick to sent", begun, sent),
                ("all: drawn to next picture drawn", shown, changed),
            ):
                times[name].append(1000 * (end - start))
    for name, leg in times.items():
        for share in (50, 95):
            yield measured(f"{name} p{share}", float(np.percentile(leg, share)), "ms")


def measurements(rate: float, fps: float, pictures: int, conf: str) -> Iterator[Measurement]:
    """Open the window, answer its pictures, and yield every leg."""
    torch.set_num_threads(1)
    infer, size = build_policy(conf)
    infer(np.zeros((3, size, size), np.uint8))
    port = free_udp_port()
    program = f"from tools.bench.latency import client; client({port}, {fps})"
    window = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert window.stdout is not None
    try:
        window.stdout.readline()
        with closing(VRChat(size, port=port, title=TITLE, listen=None, rate_hz=rate)) as world:
            observed = answer(world, infer, rate, pictures)
    finally:
        window.terminate()
    rows = [line.split() for line in window.stdout.read().splitlines()]
    drawn = {int(number): (float(received), float(at)) for number, received, at in rows}
    yield from legs(observed, drawn)


if __name__ == "__main__":
    bench_main(
        __doc__,
        measurements,
        rate=(10.0, "ticks a second"),
        fps=(60.0, "the client's frames a second"),
        pictures=(100, "how many to answer"),
        conf=("base", "experiment whose encoder and policy run"),
    )
