"""A VRChat emulator: an embedded scene in a window, with VRChat's OSC protocol.

python -m agent.worlds --scene agent.worlds.embedded.scenes.street.Street
"""

from __future__ import annotations

import math
import sys
import time
from contextlib import ExitStack
from functools import partial
from typing import Annotated

from jsonargparse import ArgumentError, ArgumentParser

from agent.lifecycle.signals import ForceQuit, StopRequest
from agent.osc.query import OscQueryError
from agent.worlds.embedded.emulator.faults import CommandReader, FaultyDisplay
from agent.worlds.embedded.emulator.server import Emulator
from agent.worlds.embedded.emulator.window import TITLE, Window, WindowError
from agent.worlds.embedded.fixed_timestep import LOCKSTEP_RATES, PHYSICS_HZ, FixedTimestep
from agent.worlds.embedded.scenes.base import Scene
from agent.worlds.embedded.scenes.street import Street
from agent.worlds.embedded.simulation import Simulation
from pamiq_lightning.utils.console import open_missing_streams, print_failure, safe_print
from pamiq_lightning.utils.instantiate import instantiate
from pamiq_lightning.utils.ranges import FreeOrPort, Range, Seconds, Seed, check_ranges

Side = Annotated[int, Range(1, 4096)]


def run(
    scene: Scene | None = None,
    width: Side = 640,
    height: Side = 360,
    rate: int = PHYSICS_HZ,
    seed: Seed = 0,
    osc_in: FreeOrPort = 9000,
    osc_out: FreeOrPort = 9001,
    window: bool = True,
    title: str = TITLE,
    window_size: tuple[Side, Side] | None = None,
    oscquery: bool = False,
    field_of_view: Annotated[float, Range(1, 170)] = 60.0,
    supersample: Annotated[int, Range(1, 16)] = 1,
    seconds: Seconds | None = None,
    log_osc: bool = False,
    faults: bool = False,
) -> None:
    """Run a scene until its window is closed or a signal arrives.

    Args:
        scene: class path and settings of the scene; default: the street.
        width: of the rendered frames, pixels.
        height: of the rendered frames, pixels.
        rate: frames per second, a divisor of 30; physics always runs at 30 Hz.
        seed: of all randomness.
        osc_in: UDP port for inputs; 0 takes a free port and prints it.
        osc_out: UDP port that avatar parameters are sent to; 0 sends none.
        window: whether to open a window; without one only the protocol runs.
        title: of the window.
        window_size: width and height of the window in pixels; frames are scaled to cover it.
            Default: the size of the frames.
        oscquery: whether to announce the ports on the local network, as VRChat does.
        field_of_view: vertical, degrees.
        supersample: rendered pixels per output pixel along each side.
        seconds: stop after this time; default: never.
        log_osc: whether to print every OSC message received.
        faults: whether to read fault commands from standard input, one a line: freeze, black,
            white, fps N, resize WIDTH HEIGHT, move LEFT TOP, close, open.
    """
    if rate not in LOCKSTEP_RATES:
        raise ValueError(f"rate must be one of {', '.join(map(str, LOCKSTEP_RATES))}, got {rate}")
    if faults and not window:
        raise ValueError("faults need a window")
    with ExitStack() as stack:
        stop = stack.enter_context(StopRequest())
        size = (height, width)
        simulation = Simulation(scene or Street(), size, seed, field_of_view, supersample)
        simulation.frame()  # Compiles.
        emulator = Emulator(simulation, osc_in, osc_out, oscquery, log_osc)
        stack.callback(emulator.close)
        open_window = partial(Window, title, window_size or (width, height), emulator.set_input)
        display = FaultyDisplay(open_window if window else None, rate)
        stack.callback(display.close)
        commands = CommandReader(sys.stdin.fileno()) if faults else None
        out = f"avatar parameters to {osc_out}" if osc_out else "no avatar parameters"
        safe_print(f"OSC in on {emulator.port}, {out}; end with Ctrl-C")
        end = time.monotonic() + (math.inf if seconds is None else seconds)
        timestep = FixedTimestep(
            emulator.step, lambda: display.show(simulation.frame), PHYSICS_HZ // rate
        )
        while not stop() and time.monotonic() < end and display.handle_events():
            if commands is not None:
                commands.apply_pending(display)
            timestep.tick()


def main() -> int:
    """Read the command line and run; return the exit code."""
    open_missing_streams()
    parser = ArgumentParser(prog="python -m agent.worlds", description=__doc__, exit_on_error=False)
    parser.add_function_arguments(run)
    try:
        options = parser.parse_args().as_dict()
        check_ranges(run, options)
        if spec := options["scene"]:
            options["scene"] = instantiate(Scene, {"init_args": {}, **spec}, "scene")
        run(**options)
    except ArgumentError as error:
        return print_failure(f"{error} (try --help)", 2)
    except ValueError as error:
        return print_failure(error, 2)
    except (OSError, OscQueryError, WindowError) as error:
        return print_failure(error)
    except ForceQuit:
        return 130
    return 0
