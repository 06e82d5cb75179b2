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
        holders = udp_holders(port) if udp else _holders("tcp", port, _LISTENS)
        names = ", ".join(f"{name} (process {number})" for number, name in holders.items())
        raise PortTakenError(
            f"{'UDP' if udp else 'TCP'} port {port} is taken by {names or 'another program'}: "
            "close that, or choose another port."
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


def input_takers(host: str, port: int) -> dict[int, str]:
    """Return the processes that take what is sent to a UDP port; none where they are unknown."""
    return udp_holders(port) if is_local(host) else {}


def udp_holders(port: int) -> dict[int, str]:
    """Return the processes that hold a UDP port, by number, with their names.

    Known on Linux, for processes of the same user (reads /proc), and on Windows. A socket that a
    process shares with its children is held by all of them.
    """
    if sys.platform == "win32":
        from agent.osc.ports_windows import udp_holders as find

        return find(port)
    return _holders("udp", port, None)


def _holders(protocol: str, port: int, state: str | None) -> dict[int, str]:
    inodes = set()
    for table in (Path(f"/proc/net/{protocol}"), Path(f"/proc/net/{protocol}6")):
        if table.exists():
            inodes |= _inodes(table.read_text(), port, state)
    if not inodes:
        return {}
    return {
        int(process.name): _name(process)
        for process in Path("/proc").iterdir()
        if process.name.isdigit() and _sockets(process) & inodes
    }


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
