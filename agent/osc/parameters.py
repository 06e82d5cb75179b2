"""Avatar parameters received from VRChat over OSC: for logs and controls, never for a reward."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from agent.osc.parse import Message, read_packet
from agent.osc.ports import bind_udp
from pamiq_lightning.utils.console import print_error

PARAMETERS = (
    "VelocityX",
    "VelocityY",
    "VelocityZ",
    "VelocityMagnitude",
    "AngularY",
    "Grounded",
    "Upright",
    "Seated",
    "AFK",
    "MuteSelf",
    "InStation",
    "TrackingType",
    "VRMode",
)
"""The built-in parameters that are stored, https://creators.vrchat.com/avatars/animator-parameters."""
PREFIX = "/avatar/parameters/"
CHANGE = "/avatar/change"
LISTEN_HOST = "127.0.0.1"
_LARGEST_DATAGRAM = 65536
_MOST_SOURCES = 8
Source = tuple[str, int]
"""Address and port of a socket."""
_LARGEST_VALUE = 1e30


class Listener:
    """Keeps the newest value of every avatar parameter; a thread receives them.

    Anything but a number under a known name is counted and dropped. Programs that send in turns, as
    two clients do, are named once, for their values are mixed.

    Args:
        port: the UDP port that VRChat sends to; 0 takes a free one, for OSCQuery.
        host: the address to listen at; 127.0.0.1 receives from this machine alone.
        clock: monotonic seconds.

    Attributes:
        names: what the numbers of `values` mean.
        port: the port that is bound.
        received: valid messages so far.
        malformed: invalid messages so far.
        received_at: time of the last message (s); None before the first.
        avatar_changes: how often the avatar was changed.
        sources: the sockets that have sent valid messages, in order.

    Raises:
        PortTakenError: another program listens there.
    """

    names = PARAMETERS

    def __init__(
        self, port: int = 9001, host: str = LISTEN_HOST, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.received = 0
        self.malformed = 0
        self.avatar_changes = 0
        self.received_at: float | None = None
        self._clock = clock
        self._indices = {PREFIX + name: index for index, name in enumerate(PARAMETERS)}
        self._values = np.full(len(PARAMETERS), np.nan, np.float32)
        self.sources: list[Source] = []
        self._last_source: Source | None = None
        self._mixed = False
        self._closed = False
        self._host = host
        self._socket = bind_udp(host, port)
        self.port: int = self._socket.getsockname()[1]
        # A timeout, since closing a socket wakes its reader on some systems only.
        self._socket.settimeout(1.0)
        self._reader = threading.Thread(target=self._read, name="osc-listener", daemon=True)
        self._reader.start()

    def values(self) -> NDArray[np.float32]:
        """Return the newest values (K,), NaN before the first message."""
        return self._values.copy()

    def value(self, name: str) -> float:
        """Return the newest value of one parameter; NaN before the first message."""
        return float(self._values[PARAMETERS.index(name)])

    def receive(self, datagram: bytes, source: Source = ("", 0)) -> None:
        """Process one datagram from a socket."""
        packet = read_packet(datagram)
        self.malformed += packet.malformed
        if packet.messages:
            self._note_source(source)
        for message in packet.messages:
            self._take(message)

    def _note_source(self, source: Source) -> None:
        if source == self._last_source:
            return
        self._last_source = source
        if source not in self.sources:
            self.sources = [*self.sources[-_MOST_SOURCES:], source]
        elif not self._mixed:
            # A client that was started again does not come back from its old socket.
            self._mixed = True
            names = ", ".join(f"{host}:{port}" for host, port in self.sources)
            print_error(
                f"OSC listener: several programs send avatar parameters to port {self.port} "
                f"({names}), and their values are mixed: close the other client"
            )

    def _take(self, message: Message) -> None:
        address, value = message
        index = self._indices.get(address)
        if index is not None and isinstance(value, (bool, int, float)):
            if not abs(value) < _LARGEST_VALUE:  # NaN and infinity included.
                self.malformed += 1
                return
            self._values[index] = value
        elif address == CHANGE:
            self.avatar_changes += 1
        self.received += 1
        self.received_at = self._clock()

    def close(self) -> None:
        """Stop listening and release the port. May be called twice."""
        if self._closed:
            return
        self._closed = True
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waker:
            waker.sendto(b"", (self._host if self._host != "0.0.0.0" else "127.0.0.1", self.port))
        self._reader.join(timeout=2.0)
        self._socket.close()

    def _read(self) -> None:
        while not self._closed:
            try:
                datagram, source = self._socket.recvfrom(_LARGEST_DATAGRAM)
            except TimeoutError:
                continue
            except OSError as error:
                print_error(f"OSC listener: {error}")
                time.sleep(0.2)  # A lasting error must not become a busy loop.
            else:
                if not self._closed:
                    self.receive(datagram, source)
