"""A stand-in for VRChat: an embedded world in a window, with VRChat's OSC protocol.

python -m agent.worlds --scene agent.worlds.embedded.scenes.street.Street
"""

from __future__ import annotations

import signal
import sys
import threading
from types import FrameType

from jsonargparse import ArgumentParser

from agent.osc.ports import PortTakenError
from agent.osc.query import Advertiser, OscQueryError
from agent.osc.server import HOST, OscReceiver, silence_python_osc
from agent.worlds.embedded.emulator.avatar import AvatarSender
from agent.worlds.embedded.emulator.window import Window, WindowError
from agent.worlds.embedded.fixed_timestep import LOCKSTEP_RATES, PHYSICS_HZ, FixedTimestep
from agent.worlds.embedded.scenes.base import Scene
from agent.worlds.embedded.scenes.street import Street
from agent.worlds.embedded.simulation import Simulation

QUERY_NAME = "VRChat-Client-Embedded"


class Emulator:
    """One world with everything VRChat shows to the outside.

    Args:
        simulation: the world.
        osc_in: UDP port it listens on; 0: any free one.
        osc_out: UDP port the avatar's parameters go to; 0: nobody is told.
        oscquery: whether it announces itself on the local network.

    Raises:
        PortTakenError: another program listens on `osc_in`.
        OscQueryError: it cannot announce itself.
    """

    def __init__(self, simulation: Simulation, osc_in: int, osc_out: int, oscquery: bool) -> None:
        self._simulation = simulation
        self._lock = threading.Lock()
        self._receiver = OscReceiver(osc_in, self.set_input)
        self.port = self._receiver.port
        self._sender = AvatarSender(HOST, osc_out) if osc_out else None
        self._advertiser = Advertiser(self.port, QUERY_NAME) if oscquery else None

    def set_input(self, address: str, value: object) -> None:
        """Take one input, from whatever thread."""
        with self._lock:
            self._simulation.set_input(address, value)

    def step(self) -> None:
        """Take one physics step and tell what it changed."""
        with self._lock:
            self._simulation.step()
        if self._sender is not None:
            self._sender.notify(self._simulation.scene_state.body)

    def close(self) -> None:
        """Release the ports and take the announcement back."""
        self._receiver.close()
        if self._sender is not None:
            self._sender.close()
        if self._advertiser is not None:
            self._advertiser.close()


def run(
    scene: Scene | None = None,
    width: int = 640,
    height: int = 360,
    rate: int = 30,
    seed: int = 0,
    osc_in: int = 9000,
    osc_out: int = 9001,
    window: bool = True,
    oscquery: bool = False,
    field_of_view: float = 60.0,
    supersample: int = 1,
) -> None:
    """Run a world until its window is closed or it is told to stop.

    Args:
        place: the world, as a class path with its settings; the street if left out.
        width: of the picture, pixels.
        height: of the picture, pixels.
        rate: frames a second, must divide 30; physics always takes 30 steps a second.
        seed: of everything left to chance.
        osc_in: UDP port on which inputs arrive; 0 takes any free one and prints it.
        osc_out: UDP port to which the avatar's parameters go; 0 sends none.
        window: whether to open a window; without one only the protocol runs.
        oscquery: whether to announce the ports on the local network, as VRChat does.
        field_of_view: vertical, degrees.
        supersample: pixels drawn for each pixel shown, along each side.
    """
    if rate not in LOCKSTEP_RATES:
        raise ValueError(f"rate must be one of {', '.join(map(str, LOCKSTEP_RATES))}, got {rate}")
    stop = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    simulation = Simulation(scene or Street(), (height, width), seed, field_of_view, supersample)
    simulation.frame()
    emulator = Emulator(simulation, osc_in, osc_out, oscquery)
    try:
        view = Window(width, height, emulator.set_input) if window else None
        out = f"avatar parameters to {osc_out}" if osc_out else "no avatar parameters"
        print(f"OSC in on {emulator.port}, {out}; end with Ctrl-C", flush=True)

        def show() -> None:
            if view is not None:
                view.show(simulation.frame())

        clockwork = FixedTimestep(emulator.step, show, PHYSICS_HZ // rate)
        while not stop.is_set() and (view is None or view.handle_events()):
            clockwork.tick()
        if view is not None:
            view.close()
    finally:
        emulator.close()


def main() -> None:
    """Read the command line and run."""
    silence_python_osc()
    parser = ArgumentParser(prog="python -m agent.worlds", description=__doc__)
    parser.add_function_arguments(run)
    settings = parser.instantiate(parser.parse_args())
    try:
        run(**settings.as_dict())
    except (PortTakenError, OscQueryError, WindowError, ValueError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
