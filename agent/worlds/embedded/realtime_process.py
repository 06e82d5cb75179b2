"""The process in which an embedded world lives in real time; started by `RealtimeWorld`."""

from __future__ import annotations

import gc
import os
import pickle
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

from agent.osc.ports import PortTakenError
from agent.osc.server import OscReceiver, silence_python_osc
from agent.worlds.embedded.fixed_timestep import FixedTimestep
from agent.worlds.embedded.scenes.base import Scene
from agent.worlds.embedded.shared_frame import SharedFrame
from agent.worlds.embedded.simulation import INFO_NAMES, Simulation, Size


@dataclass(frozen=True)
class SimulationConfig:
    """What the parent wants run."""

    scene: Scene
    size: Size
    seed: int
    supersample: int
    osc_port: int | None
    scale: float
    memory: Path
    height: int
    width: int


def _watch(pipe: int, orphaned: threading.Event) -> None:
    """Wait for the end of the parent's pipe: it closed it, or it died."""
    # Not through sys.stdin, whose lock would then be held when the interpreter ends.
    while os.read(pipe, 1):
        pass
    orphaned.set()


def live(config: SimulationConfig, orphaned: threading.Event) -> None:
    """Run the world until the parent is gone."""
    memory = SharedFrame(config.memory, config.height, config.width, len(INFO_NAMES))
    try:
        simulation = Simulation(
            config.scene, config.size, config.seed, supersample=config.supersample
        )
        lock = threading.Lock()

        def take(address: str, value: object) -> None:
            with lock:
                simulation.set_input(address, value)

        # Draw once before the clock starts: that compiles everything.
        simulation.frame()
        receiver = OscReceiver(config.osc_port or 0, take)
        memory.port = receiver.port

        def step() -> None:
            with lock:
                simulation.step()

        def show() -> None:
            frame = simulation.frame()
            memory.write(frame, simulation.info())

        show()
        gc.freeze()
        clockwork = FixedTimestep(step, show, scale=config.scale)
        parent = os.getppid()
        while not orphaned.is_set() and os.getppid() == parent:
            clockwork.tick()
            memory.skipped, memory.ignored = clockwork.skipped, receiver.ignored
        receiver.close()
    except Exception as error:
        memory.failure = f"{type(error).__name__}: {error}"
        if not isinstance(error, PortTakenError):
            raise
        sys.exit(1)


def main() -> None:
    """Read the order from the parent's pipe and run it."""
    silence_python_osc()
    config: SimulationConfig = pickle.load(sys.stdin.buffer)
    orphaned = threading.Event()
    watcher = threading.Thread(
        target=_watch, args=(sys.stdin.fileno(), orphaned), name="watch-parent", daemon=True
    )
    watcher.start()
    live(config, orphaned)


if __name__ == "__main__":
    # Under its importable name, so that what the parent pickled is known here.
    from agent.worlds.embedded.realtime_process import main as run

    run()
