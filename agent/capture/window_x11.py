"""Windows of X11 and XWayland, found with python-xlib; no window manager is needed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from agent.capture.base import CaptureError, Rectangle
from agent.capture.choice import Candidate, FindTakers, choose

if TYPE_CHECKING:
    from Xlib.display import Display


class X11Window:
    """A window of an X display. Not thread-safe. See `agent.capture.window.Window`."""

    def __init__(self, display: Display, window: Any, title: str, note: str = "") -> None:
        self.note = note
        self._display: Display | None = display
        self._window = window
        self._title = title

    def rectangle(self) -> Rectangle:
        """Return the client area in screen pixels; two round trips, about 0.1 ms.

        Raises:
            CaptureError: the window is closed, minimised or hidden, or the display is gone.
        """
        from Xlib import X, error

        if self._display is None:
            raise CaptureError(f"The window {self._title!r} is closed.")
        try:
            viewable = self._window.get_attributes().map_state == X.IsViewable
            found = _rectangle(self._window)
        except (error.XError, error.ConnectionClosedError, OSError) as gone:
            raise CaptureError(f"The window {self._title!r} is gone ({gone}).") from gone
        if not viewable:
            raise CaptureError(f"The window {self._title!r} is minimised or hidden: show it again.")
        return found

    def close(self) -> None:
        """Close the connection to the display. May be called twice."""
        if self._display is not None:
            close(self._display)
            self._display = None


def attach(title: str, find_takers: FindTakers) -> X11Window:
    """Return the visible window with exactly this title, as `choose` does.

    Raises:
        CaptureError: no window, display or library, a session without X11, or the wrong window.
    """
    display = connect(os.environ)
    from Xlib import error

    try:
        chosen = choose(title, list(_candidates(display, title)), find_takers)
    except CaptureError:
        close(display)
        raise
    except (error.XError, error.ConnectionClosedError, OSError) as failure:
        close(display)
        raise CaptureError(
            f"The X display failed during the search for windows: {failure}"
        ) from failure
    if chosen is None:
        close(display)
        raise CaptureError(
            f"There is no visible window titled {title!r} on display {os.environ['DISPLAY']}: "
            "start VRChat in desktop mode and keep its window visible, or run world=embedded."
        )
    return X11Window(display, chosen[0].handle, title, chosen[1])


def connect(environment: Mapping[str, str]) -> Display:
    """Return a new connection to the display that an environment names.

    Raises:
        CaptureError: no display, or a library is missing; the message says what to do.
    """
    if not environment.get("DISPLAY"):
        if environment.get("WAYLAND_DISPLAY"):
            raise CaptureError(
                "This is a Wayland session without XWayland, whose windows cannot be captured: "
                "log in to an X11 session, or use an OBS virtual camera."
            )
        raise CaptureError(
            "There is no display (DISPLAY is not set): run this in the desktop session in which "
            "VRChat runs, or run world=embedded."
        )
    try:
        from Xlib.display import Display
        from Xlib.error import DisplayError, XauthError
    except ImportError as missing:
        raise CaptureError(
            "python-xlib is needed to find windows on Linux: pip install python-xlib"
        ) from missing
    try:
        return Display(environment["DISPLAY"])
    except (DisplayError, XauthError, OSError) as refused:
        raise CaptureError(
            f"The X display {environment['DISPLAY']} cannot be opened ({refused}): is it running, "
            "and is XAUTHORITY set for this user?"
        ) from refused


def close(display: Display) -> None:
    """Close a connection, which may be lost already."""
    from Xlib.error import ConnectionClosedError

    try:
        display.close()
    except (ConnectionClosedError, OSError):
        return  # The display is gone already.


def _candidates(display: Display, title: str) -> Iterator[Candidate]:
    from Xlib import X, error

    for window in _windows(display.screen().root):
        try:
            if _title(display, window) != title:
                continue
            visible = window.get_attributes().map_state == X.IsViewable
            yield Candidate(window, _rectangle(window), visible, _process(display, window))
        except error.XError:
            continue  # The window was closed during the search.


def _process(display: Display, window: Any) -> int | None:
    """Return the process of this machine that opened a window, which the server knows itself.

    What a window says of itself (_NET_WM_PID) is often wrong inside a container.
    """
    from Xlib import error
    from Xlib.ext import res

    if not display.has_extension(res.extname):
        return None
    try:
        asked = [{"client": window.id, "mask": res.LocalClientPIDMask}]
        ids = display.res_query_client_ids(asked).ids
    except error.XError:
        return None  # The server's version of the extension does not know them.
    return next((int(number) for each in ids for number in each.value), None)


def _windows(parent: Any) -> Iterator[Any]:
    # The whole tree: a window manager wraps each window into frames of its own.
    from Xlib import error

    try:
        children = parent.query_tree().children
    except error.XError:
        return
    for child in children:
        yield child
        yield from _windows(child)


def _title(display: Display, window: Any) -> str | None:
    # SDL and others set only _NET_WM_NAME, old programs only WM_NAME.
    for name in ("_NET_WM_NAME", "WM_NAME"):
        text = window.get_full_text_property(display.intern_atom(name))
        if text is not None:
            return text.decode("latin-1") if isinstance(text, bytes) else str(text)
    return None


def _rectangle(window: Any) -> Rectangle:
    geometry = window.get_geometry()
    # translate_coords from the root gives negated coordinates.
    origin = window.translate_coords(geometry.root, 0, 0)
    return Rectangle(-origin.x, -origin.y, geometry.width, geometry.height)
