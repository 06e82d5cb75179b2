"""Receives OSC datagrams as (address, value) in order; the embedded world listens with it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from pythonosc.dispatcher import Dispatcher
from pythonosc.osc_server import BlockingOSCUDPServer

from agent.osc.parse import read_packet
from agent.osc.ports import bind_udp

HOST = "127.0.0.1"
Handler = Callable[[str, object], None]
"""Takes an address and its first argument; raises ValueError for an unknown one."""


class _Messages(Dispatcher):  # type: ignore[misc]
    """Passes every message of a packet to one handler at once; time tags are ignored."""

    def __init__(self, handler: Handler, count_ignored: Callable[[], None]) -> None:
        super().__init__(strict_timing=False)
        self._handler = handler
        self._count_ignored = count_ignored

    def call_handlers_for_packet(self, data: bytes, client_address: tuple[str, int]) -> list[Any]:
        packet = read_packet(data)
        for _ in range(packet.malformed):
            self._count_ignored()
        for address, value in packet.messages:
            try:
                self._handler(address, value)
            except ValueError:
                self._count_ignored()
        return []


class _Server(BlockingOSCUDPServer):  # type: ignore[misc]
    """Counts unreadable datagrams instead of printing a traceback for each."""

    def __init__(self, port: int, handler: Handler) -> None:
        self.ignored = 0
        messages = _Messages(handler, self._ignore)
        super().__init__((HOST, port), messages, bind_and_activate=False)
        self.socket.close()  # type: ignore[has-type]
        self.socket = bind_udp(HOST, port)
        self.server_address = self.socket.getsockname()

    def _ignore(self) -> None:
        self.ignored += 1

    def verify_request(self, request: Any, client_address: Any) -> bool:
        valid: bool = super().verify_request(request, client_address)
        if not valid:
            self._ignore()
        return valid

    def handle_error(self, request: Any, client_address: Any) -> None:
        self._ignore()


class OscReceiver:
    """Listens on the loopback address in its own thread.

    Args:
        port: to listen on; 0: any free one.
        handler: called in that thread for each message.

    Raises:
        PortTakenError: another program listens there; the message names it.
    """

    def __init__(self, port: int, handler: Handler) -> None:
        self._server = _Server(port, handler)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.2}, daemon=True
        )
        self._thread.start()

    @property
    def ignored(self) -> int:
        """Number of ignored messages and datagrams."""
        return self._server.ignored

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
