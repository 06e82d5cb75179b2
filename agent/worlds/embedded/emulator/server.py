"""The emulator's OSC side: inputs in, avatar parameters out, and the OSCQuery announcement."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from agent.osc.server import HOST, OscReceiver
from agent.worlds.embedded.emulator.avatar import AvatarSender
from agent.worlds.embedded.simulation import Simulation
from pamiq_lightning.utils.console import safe_print

if TYPE_CHECKING:
    from agent.osc.query import Advertiser

QUERY_NAME = "VRChat-Client-Embedded"


class Emulator:
    """A simulation behind VRChat's OSC interface.

    Args:
        simulation: the scene and its body.
        osc_in: UDP port for inputs; 0: any free port.
        osc_out: UDP port that avatar parameters are sent to; 0: none are sent.
        oscquery: whether to announce the ports on the local network.
        log_osc: whether to print every received message with its monotonic time.

    Attributes:
        port: the bound input port.

    Raises:
        PortTakenError: another program listens on `osc_in`.
        OscQueryError: the announcement failed.
    """

    def __init__(
        self,
        simulation: Simulation,
        osc_in: int = 0,
        osc_out: int = 0,
        oscquery: bool = False,
        log_osc: bool = False,
    ) -> None:
        self._simulation, self._log_osc = simulation, log_osc
        self._lock = threading.Lock()
        self._receiver = OscReceiver(osc_in, self._receive)
        self.port = self._receiver.port
        self._sender = AvatarSender(HOST, osc_out) if osc_out else None
        self._advertiser: Advertiser | None = None
        if oscquery:
            from agent.osc.query import Advertiser

            self._advertiser = Advertiser(self.port, QUERY_NAME)

    @property
    def ignored(self) -> int:
        """OSC messages that were not understood."""
        return self._receiver.ignored

    def _receive(self, address: str, value: object) -> None:
        self.set_input(address, value)
        if self._log_osc:
            safe_print(f"osc {time.monotonic():.6f} {address} {value}")

    def set_input(self, address: str, value: object) -> None:
        """Set one input; may be called from any thread."""
        with self._lock:
            self._simulation.set_input(address, value)

    def step(self) -> None:
        """Take one physics step and send the avatar parameters that changed."""
        with self._lock:
            self._simulation.step()
        if self._sender is not None:
            self._sender.send_changes(self._simulation.scene_state.body)

    def close(self) -> None:
        """Release the ports and withdraw the announcement."""
        self._receiver.close()
        if self._sender is not None:
            self._sender.close()
        if self._advertiser is not None:
            self._advertiser.close()
