"""The process that runs an embedded world in real time; started by `RealtimeWorld`."""

from __future__ import annotations

import gc
import os
import pickle
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

from agent.osc.ports import PortTakenError
from agent.worlds.embedded.emulator.server import Emulator
from agent.worlds.embedded.fixed_timestep import FixedTimestep
from agent.worlds.embedded.scenes.base import Scene
from agent.worlds.embedded.shared_frame import SharedFrame
from agent.worlds.embedded.simulation import INFO_NAMES, Simulation
from pamiq_lightning.utils.console import open_missing_streams
from pamiq_lightning.utils.usage_error import describe_error


@dataclass(frozen=True)
class SimulationConfig:
    """What the parent process wants simulated."""

    scene: Scene
    height: int
    width: int
    seed: int
    osc_port: int | None
    scale: float
    shared_frame: Path


def _wait_for_parent(pipe: int, orphaned: threading.Event) -> None:
    """Wait for the end of the pipe: the parent closed it, or died."""
    # Not sys.stdin, whose lock would be held when the interpreter exits.
    while os.read(pipe, 1):
        pass
    orphaned.set()


def run_simulation(config: SimulationConfig, orphaned: threading.Event) -> None:
    """Simulate until the parent is gone; a failure is reported in the shared frame."""
    shared = SharedFrame(config.shared_frame, config.height, config.width, len(INFO_NAMES))
    try:
        simulation = Simulation(config.scene, (config.height, config.width), config.seed)
        # The first frame compiles everything, before the clock starts.
        simulation.frame()
        emulator = Emulator(simulation, config.osc_port or 0)
        shared.port = emulator.port

        def show() -> None:
            frame = simulation.frame()
            shared.write(frame, simulation.info())

        show()
        gc.freeze()
        timestep = FixedTimestep(emulator.step, show, scale=config.scale)
        parent = os.getppid()
        while not orphaned.is_set() and os.getppid() == parent:
            timestep.tick()
            shared.ignored = emulator.ignored
        emulator.close()
    # A scene of the user's may raise anything; the agent prints it.
    except (Exception, SystemExit) as error:
        taken = isinstance(error, PortTakenError)
        shared.failure = str(error) if taken else describe_error(error, 1)
        sys.exit(1)


def main() -> None:
    """Read the configuration from the parent's pipe and run it."""
    open_missing_streams()
    config: SimulationConfig = pickle.load(sys.stdin.buffer)
    orphaned = threading.Event()
    pipe = sys.stdin.fileno()
    threading.Thread(target=_wait_for_parent, args=(pipe, orphaned), daemon=True).start()
    run_simulation(config, orphaned)


if __name__ == "__main__":
    # Under its importable name, which the parent's pickle refers to.
    from agent.worlds.embedded.realtime_process import main as run

    run()
