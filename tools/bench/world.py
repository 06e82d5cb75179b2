"""What the embedded worlds cost on this machine, against their limits.

    python -m tools.bench.world
    python -m tools.bench.world --json

Each measurement is the best of a few tries, because other programs can only make it worse.
"""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Iterator

import numpy as np
from pythonosc.udp_client import SimpleUDPClient

from agent.actions import CHOICES, inputs
from agent.worlds.embedded.fixed_timestep import TIMESTEP
from agent.worlds.embedded.lockstep import LockstepWorld
from agent.worlds.embedded.realtime import RealtimeWorld
from agent.worlds.embedded.scenes.street import Street
from agent.worlds.embedded.simulation import Simulation, Size
from tools.bench.limits import Measurement, at_least, at_most, bench_main

_TRIES = 5
_FRAMES = 200
_DISCARD_PORT = "9"
"""The discard port: nothing listens there."""
_START = """
from agent.worlds.embedded.scenes.street import Street
from agent.worlds.embedded.simulation import Simulation
Simulation(Street(), 144, 0).frame()
"""
_REAL_TIME = """
import resource, sys, time
from agent.worlds.embedded.emulator.server import Emulator
from agent.worlds.embedded.fixed_timestep import FixedTimestep
from agent.worlds.embedded.simulation import Simulation
from agent.worlds.embedded.scenes.street import Street
simulation = Simulation(Street(), (144, 256), 0)
simulation.frame()
emulator = Emulator(simulation, osc_out=int(sys.argv[1]))
timestep = FixedTimestep(emulator.step, simulation.frame)
print(emulator.port, flush=True)
timestep.tick()
started, cpu = time.monotonic(), time.process_time()
while time.monotonic() < started + float(sys.argv[2]):
    timestep.tick()
share = (time.process_time() - cpu) / (time.monotonic() - started)
print(share, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, flush=True)
"""


def frame_milliseconds(size: Size, supersample: int) -> float:
    """CPU time of one frame along a random walk in the street, ms."""

    def walk() -> float:
        simulation = Simulation(Street(), size, 0, supersample=supersample)
        simulation.frame()
        rng, spent = np.random.default_rng(0), 0.0
        for action in rng.integers(0, CHOICES, (_FRAMES, len(CHOICES))):
            for address, value in inputs(action).items():
                simulation.set_input(address, value)
            for _ in range(3):
                simulation.step()
            before = time.thread_time()
            simulation.frame()
            spent += time.thread_time() - before
        return spent / _FRAMES * 1e3

    return min(walk() for _ in range(_TRIES))


def lockstep_ticks_per_second() -> float:
    """Ticks of 10 Hz in one second of CPU time, with random actions."""

    def run() -> float:
        world = LockstepWorld(Street(), 144, 0, 10)
        actions = np.random.default_rng(0).integers(0, CHOICES, (_FRAMES, len(CHOICES)))
        world.observe()
        before = time.process_time()
        for action in actions:
            world.act(action)
            world.observe()
        return _FRAMES / (time.process_time() - before)

    return max(run() for _ in range(_TRIES))


def real_time(seconds: float) -> tuple[float, float]:
    """Share of one core at 30 frames a second with OSC in and out, and the peak memory in MB."""
    program = [sys.executable, "-c", _REAL_TIME, _DISCARD_PORT, str(seconds)]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        client = SimpleUDPClient("127.0.0.1", int(process.stdout.readline()))
        rng = np.random.default_rng(0)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for address, value in inputs(rng.integers(0, CHOICES)).items():
                client.send_message(address, value)
            time.sleep(0.1)
        share, peak = process.stdout.readline().split()
    client.close()
    unit = 1e6 if sys.platform == "darwin" else 1e3
    return float(share), int(peak) / unit


def latency_milliseconds(samples: int) -> float:
    """95th percentile from sending an OSC message to a frame that shows what it did, ms."""
    world = RealtimeWorld(Street(), 144, 0)
    heading = world.info_names.index("angular_velocity")
    rng, waits = random.Random(0), []
    with SimpleUDPClient("127.0.0.1", world.port) as client:
        for sample in range(samples):
            turning = sample % 2
            time.sleep(0.05 + rng.random() * TIMESTEP)
            sent = time.perf_counter()
            client.send_message("/input/LookHorizontal", float(turning))
            while (world.observe()[1][heading] > 0.0) != bool(turning):
                pass
            if sample:
                waits.append(time.perf_counter() - sent)
    world.close()
    return float(np.percentile(waits, 95) * 1e3)


def start_seconds() -> float:
    """From starting the interpreter to the end of the first frame, compiled code on disk."""

    def start() -> float:
        before = time.perf_counter()
        subprocess.run([sys.executable, "-c", _START], check=True)
        return time.perf_counter() - before

    return min(start() for _ in range(_TRIES))


def measurements(seconds: float) -> Iterator[Measurement]:
    """Yield all."""
    for size, name, limit in ((144, "144x144", 1.1), ((144, 256), "256x144", 1.7)):
        once = frame_milliseconds(size, 1)
        yield at_most(f"frame {name}", once, "ms", limit)
        twice = frame_milliseconds(size, 2)
        yield at_most(f"frame {name}, 2x supersampled", twice, "ms", 3 * limit)
    yield at_least("lockstep 144x144", lockstep_ticks_per_second(), "ticks/s", 400.0)
    share, peak = real_time(seconds)
    yield at_most("real time 256x144, OSC both ways", 100 * share, "% of a core", 12.0)
    yield at_most("peak memory", peak, "MB", 220.0)
    yield at_most("OSC message to changed frame, p95", latency_milliseconds(80), "ms", 40.0)
    yield at_most("start to first frame, warm", start_seconds(), "s", 1.2)


if __name__ == "__main__":
    bench_main(__doc__, measurements, seconds=(10.0, "length of the real-time run"))
