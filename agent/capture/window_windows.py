"""Windows of Microsoft Windows, found with ctypes; written from documentation, never run."""

from __future__ import annotations

import ctypes
import sys
from ctypes import wintypes

from agent.capture.base import CaptureError, Rectangle
from agent.capture.choice import Candidate, FindTakers, choose

assert sys.platform == "win32", "this module is for Windows only"

_UNITY = "UnityWndClass"
_user32 = ctypes.WinDLL("user32", use_last_error=True)
_EnumProc = ctypes.WINFUNCTYPE(wintypes.BOOL, wintypes.HWND, wintypes.LPARAM)
# Without argtypes, ctypes truncates 64-bit handles to 32 bits.
_user32.EnumWindows.argtypes = (_EnumProc, wintypes.LPARAM)
_user32.EnumWindows.restype = wintypes.BOOL
_user32.GetWindowTextW.argtypes = (wintypes.HWND, wintypes.LPWSTR, ctypes.c_int)
_user32.GetClassNameW.argtypes = (wintypes.HWND, wintypes.LPWSTR, ctypes.c_int)
_user32.GetClientRect.argtypes = (wintypes.HWND, ctypes.POINTER(wintypes.RECT))
_user32.GetClientRect.restype = wintypes.BOOL
_user32.ClientToScreen.argtypes = (wintypes.HWND, ctypes.POINTER(wintypes.POINT))
_user32.ClientToScreen.restype = wintypes.BOOL
_user32.GetWindowThreadProcessId.argtypes = (wintypes.HWND, wintypes.LPDWORD)
_user32.GetWindowThreadProcessId.restype = wintypes.DWORD
for _query in (_user32.IsWindowVisible, _user32.IsIconic, _user32.IsWindow):
    _query.argtypes = (wintypes.HWND,)
    _query.restype = wintypes.BOOL


class Win32Window:
    """A top-level window of the desktop. See `agent.capture.window.Window`."""

    def __init__(self, handle: int, title: str, note: str = "") -> None:
        self.note = note
        self._handle = handle
        self._title = title

    def rectangle(self) -> Rectangle:
        """Return the client area in screen pixels (physical ones once mss has set DPI awareness).

        Raises:
            CaptureError: the window is closed, minimised or hidden.
        """
        if not _user32.IsWindow(self._handle):
            raise CaptureError(f"The window {self._title!r} is gone.")
        if _user32.IsIconic(self._handle) or not _user32.IsWindowVisible(self._handle):
            raise CaptureError(f"The window {self._title!r} is minimised or hidden: show it again.")
        found = _rectangle(self._handle)
        if found is None:
            raise CaptureError(f"The window {self._title!r} is gone.")
        return found

    def close(self) -> None:
        """Do nothing: a handle found by enumeration has no owner here."""


def attach(title: str, find_takers: FindTakers) -> Win32Window:
    """Return the visible window with this title, as `choose` does; Unity's before others.

    A folder named VRChat opens a window of the same title, hence the preference.

    Raises:
        CaptureError: there is no such window, or it is the wrong one.
    """
    found: list[Candidate] = []

    def consider(handle: int, _: int) -> bool:
        area = _rectangle(handle)
        if area and _text(_user32.GetWindowTextW, handle) == title:
            visible = bool(_user32.IsWindowVisible(handle)) and not _user32.IsIconic(handle)
            unity = _text(_user32.GetClassNameW, handle) == _UNITY
            found.append(Candidate(handle, area, visible, _process(handle), unity))
        return True

    _user32.EnumWindows(_EnumProc(consider), 0)
    chosen = choose(title, found, find_takers)
    if chosen is None:
        raise CaptureError(
            f"There is no visible window titled {title!r}: start VRChat in desktop mode and keep "
            "its window visible, or run world=embedded."
        )
    return Win32Window(chosen[0].handle, title, chosen[1])


def _process(handle: int) -> int | None:
    number = wintypes.DWORD()
    _user32.GetWindowThreadProcessId(handle, ctypes.byref(number))
    return number.value or None


def _text(function: ctypes._NamedFuncPointer, handle: int) -> str:
    buffer = ctypes.create_unicode_buffer(256)
    function(handle, buffer, len(buffer))
    return buffer.value


def _rectangle(handle: int) -> Rectangle | None:
    area, origin = wintypes.RECT(), wintypes.POINT(0, 0)
    if not _user32.GetClientRect(handle, ctypes.byref(area)):
        return None
    if not _user32.ClientToScreen(handle, ctypes.byref(origin)):
        return None
    return Rectangle(origin.x, origin.y, area.right, area.bottom)
