"""Holders of UDP ports on Windows, found with ctypes; written from documentation, never run."""

from __future__ import annotations

import ctypes
import socket
import sys
from ctypes import wintypes

assert sys.platform == "win32", "this module is for Windows only"

_OWNER_PID = 1  # UDP_TABLE_OWNER_PID
_TOO_SMALL = 122  # ERROR_INSUFFICIENT_BUFFER
_get_table = ctypes.WinDLL("iphlpapi").GetExtendedUdpTable
_get_table.argtypes = (
    *(ctypes.c_void_p, ctypes.POINTER(wintypes.DWORD), wintypes.BOOL),
    *(wintypes.ULONG, ctypes.c_int, wintypes.ULONG),
)
_get_table.restype = wintypes.DWORD


class _Row(ctypes.Structure):
    _fields_ = (("address", wintypes.DWORD), ("port", wintypes.DWORD), ("process", wintypes.DWORD))


def udp_holders(port: int) -> dict[int, str]:
    """Return the processes that hold an IPv4 UDP port, by number."""
    size = wintypes.DWORD(0)
    table = ctypes.create_string_buffer(4)
    # It grows between two calls where programs open sockets.
    while (
        code := _get_table(table, ctypes.byref(size), False, socket.AF_INET, _OWNER_PID, 0)
    ) == _TOO_SMALL:
        table = ctypes.create_string_buffer(size.value)
    if code:
        return {}
    count = wintypes.DWORD.from_buffer(table).value
    rows = (_Row * count).from_buffer(table, ctypes.sizeof(wintypes.DWORD))
    # The port is in network order, in the lower half.
    return {row.process: "a program" for row in rows if socket.ntohs(row.port & 0xFFFF) == port}
