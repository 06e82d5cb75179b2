"""Binds ports, and names the process that holds a taken one."""

from __future__ import annotations

import errno
import socket
import sys
from pathlib import Path

# Windows refuses an exclusively held port with "access denied".
_IN_USE = (errno.EADDRINUSE, getattr(errno, "WSAEADDRINUSE", 0), getattr(errno, "WSAEACCES", 0))

_LISTENS = "0A"
"""State of a listening TCP socket in /proc; other sockets of that port are connections."""


class PortTakenError(OSError):
    """Another program holds the port; the message says which, and what to do."""


def bind_udp(host: str, port: int) -> socket.socket:
    """Return a UDP socket bound to `host` and `port` (0: any free port), exclusively.

    Raises:
        PortTakenError: another program has it.
        OSError: `host` is not an address of this machine.
    """
    return _bind(socket.SOCK_DGRAM, host, port)


def bind_tcp(host: str, port: int) -> socket.socket:
    """Return a TCP socket bound to `host` and `port` (0: any free port), exclusively.

    Raises:
        PortTakenError: another program has it.
        OSError: `host` is not an address of this machine.
    """
    return _bind(socket.SOCK_STREAM, host, port)


def _bind(kind: socket.SocketKind, host: str, port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET, kind)
    if sys.platform == "win32":
        # Otherwise Windows lets a second program take the port over.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
    elif kind is socket.SOCK_STREAM:
        # Connections in TIME_WAIT of an earlier run do not hold the port.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
        if kind is socket.SOCK_STREAM:
            bound.listen()
    except OSError as error:
        bound.close()
        if error.errno not in _IN_USE:
            raise OSError(f"cannot listen on {host}:{port}: {error}") from error
        udp = kind is socket.SOCK_DGRAM
        holder = (udp_holder(port) if udp else _holder("tcp", port, _LISTENS)) or "another program"
        raise PortTakenError(
            f"{'UDP' if udp else 'TCP'} port {port} is taken by {holder}: close that, or choose "
            "another port."
        ) from error
    return bound


def is_local(host: str) -> bool:
    """Return whether a name or an IPv4 address is one of this machine's."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as trial:
            trial.bind((host, 0))
    except OSError:
        return False
    return True


def udp_holder(port: int) -> str | None:
    """Return the process that holds a UDP port as "name (pid)"; None where it is unknown.

    Known on Linux, for processes of the same user; reads /proc.
    """
    return _holder("udp", port, None)


def _holder(protocol: str, port: int, state: str | None) -> str | None:
    inodes = set()
    for table in (Path(f"/proc/net/{protocol}"), Path(f"/proc/net/{protocol}6")):
        if table.exists():
            inodes |= _inodes(table.read_text(), port, state)
    if not inodes:
        return None
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and _sockets(process) & inodes:
            return f"{_name(process)} (process {process.name})"
    return None


def _inodes(table: str, port: int, state: str | None) -> set[str]:
    """Return the sockets of a port; where `state` is given, those in that state."""
    rows = (line.split() for line in table.splitlines()[1:])
    return {
        f"socket:[{row[9]}]"
        for row in rows
        if int(row[1].rsplit(":", 1)[1], 16) == port and state in (None, row[3])
    }


def _sockets(process: Path) -> set[str]:
    found = set()
    try:
        for descriptor in (process / "fd").iterdir():
            found.add(str(descriptor.readlink()))
    except OSError:
        return found  # It ended meanwhile, or belongs to another user.
    return found


def _name(process: Path) -> str:
    try:
        return (process / "comm").read_text().strip()
    except OSError:
        return "a process"
