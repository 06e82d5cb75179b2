"""Binding a UDP port, and saying who holds it when it is taken."""

from __future__ import annotations

import errno
import socket
import sys
from pathlib import Path

# Windows refuses an exclusively held port with "access denied".
_IN_USE = (errno.EADDRINUSE, getattr(errno, "WSAEADDRINUSE", 0), getattr(errno, "WSAEACCES", 0))


class PortTakenError(OSError):
    """Another program holds the port; the message says which, and what to do."""


def bind_udp(host: str, port: int) -> socket.socket:
    """Return a UDP socket bound to `host` and `port` (0: any free port), for us alone.

    Raises:
        PortTakenError: another program has it.
        OSError: `host` is not an address of this machine.
    """
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    if sys.platform == "win32":
        # Otherwise Windows lets a second program take the port over in silence.
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
    try:
        udp.bind((host, port))
    except OSError as error:
        udp.close()
        if error.errno not in _IN_USE:
            raise OSError(f"cannot listen on {host}:{port}: {error}") from error
        raise PortTakenError(
            f"UDP port {port} is taken by {udp_holder(port) or 'another program'}: close that, or "
            "choose another port."
        ) from error
    return udp


def udp_holder(port: int) -> str | None:
    """Return the process that holds a UDP port as "name (pid)"; None where it cannot be known.

    Known on Linux, for processes of the same user; reads /proc.
    """
    inodes = set()
    for table in (Path("/proc/net/udp"), Path("/proc/net/udp6")):
        if table.exists():
            inodes |= _inodes(table.read_text(), port)
    if not inodes:
        return None
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and _sockets(process) & inodes:
            return f"{_name(process)} (process {process.name})"
    return None


def _inodes(table: str, port: int) -> set[str]:
    rows = (line.split() for line in table.splitlines()[1:])
    return {f"socket:[{row[9]}]" for row in rows if int(row[1].rsplit(":", 1)[1], 16) == port}


def _sockets(process: Path) -> set[str]:
    found = set()
    try:
        for descriptor in (process / "fd").iterdir():
            found.add(str(descriptor.readlink()))
    except OSError:
        return found  # It ended while we looked, or belongs to somebody else.
    return found


def _name(process: Path) -> str:
    try:
        return (process / "comm").read_text().strip()
    except OSError:
        return "a process"
