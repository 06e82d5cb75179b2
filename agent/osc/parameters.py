"""What VRChat says about the avatar over OSC: for logs and controls, never for the reward."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from agent.osc.parse import NotOscError, read_message
from agent.osc.ports import bind_udp

_log = logging.getLogger(__name__)
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
"""The built-in parameters that are kept, https://creators.vrchat.com/avatars/animator-parameters."""
PREFIX = "/avatar/parameters/"
CHANGE = "/avatar/change"
LISTEN_HOST = "127.0.0.1"
_LARGEST_DATAGRAM = 65536
_LARGEST_VALUE = 1e30


class Listener:
    """Keeps the newest value of every avatar parameter; a thread reads them as they come.

    Anything but a number under a known name is counted and dropped: what comes from the net is
    neither kept nor run.

    Args:
        port: the UDP port that VRChat sends to; 0 takes a free one, for OSCQuery.
        host: the address to listen at; other machines are heard only through another than this.
        clock: monotonic seconds.

    Attributes:
        names: what the numbers of `values` mean.
        port: the port that is bound.
        heard: messages understood so far.
        malformed: datagrams that were none.
        heard_at: when the last message came (s); None before the first.
        avatars: how often another avatar was put on.

    Raises:
        PortTakenError: another program listens there.
    """

    names = PARAMETERS

    def __init__(
        self,
        port: int = 9001,
        host: str = LISTEN_HOST,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.heard = 0
        self.malformed = 0
        self.avatars = 0
        self.heard_at: float | None = None
        self._clock = clock
        self._place = {PREFIX + name: index for index, name in enumerate(PARAMETERS)}
        self._values = np.full(len(PARAMETERS), np.nan, np.float32)
        self._closed = False
        self._host = host
        self._socket = bind_udp(host, port)
        self.port: int = self._socket.getsockname()[1]
        # So that the reader looks up now and then: closing a socket wakes it on some systems only.
        self._socket.settimeout(1.0)
        self._reader = threading.Thread(target=self._read, name="osc-listener", daemon=True)
        self._reader.start()

    def values(self) -> NDArray[np.float32]:
        """Return the newest values (K,), NaN where none came yet."""
        return self._values.copy()

    def value(self, name: str) -> float:
        """Return the newest value of one parameter; NaN if none came yet."""
        return float(self._values[PARAMETERS.index(name)])

    def take(self, datagram: bytes) -> None:
        """Read one datagram as it came from the net."""
        try:
            address, value = read_message(datagram)
        except NotOscError:
            self.malformed += 1
            return
        place = self._place.get(address)
        if place is not None and isinstance(value, (bool, int, float)):
            if not abs(value) < _LARGEST_VALUE:  # NaN and infinity included.
                self.malformed += 1
                return
            self._values[place] = value
        elif address == CHANGE:
            self.avatars += 1
        self.heard += 1
        self.heard_at = self._clock()

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
                datagram = self._socket.recv(_LARGEST_DATAGRAM)
            except TimeoutError:
                continue
            except OSError as error:
                _log.warning("OSC listener: %s", error)
                time.sleep(0.2)  # Should it fail for ever, then not in a busy loop.
            else:
                if not self._closed:
                    self.take(datagram)
