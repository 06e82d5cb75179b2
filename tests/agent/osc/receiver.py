"""A stand-in for VRChat's OSC port: real UDP on a free loopback port."""

from __future__ import annotations

import socket
from typing import Any

from pythonosc.osc_message import OscMessage


class Receiver:
    """Reads what arrives, in order."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(10.0)
        self.port: int = self.socket.getsockname()[1]

    def read(self) -> tuple[str, Any]:
        """Wait for one message and return its address and value."""
        message = OscMessage(self.socket.recv(65536))
        (value,) = message.params
        return message.address, value

    def read_many(self, count: int) -> list[tuple[str, Any]]:
        return [self.read() for _ in range(count)]

    def pending(self) -> list[tuple[str, Any]]:
        """Return what has arrived already."""
        self.socket.settimeout(0.0)
        messages = []
        try:
            while True:
                messages.append(self.read())
        except BlockingIOError:
            return messages
        finally:
            self.socket.settimeout(10.0)

    def close(self) -> None:
        self.socket.close()
