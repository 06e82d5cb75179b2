"""A desktop window (pygame) that screen capture finds like VRChat's, with keyboard and mouse."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pygame

TITLE = "VRChat"
_HEADLESS = ("offscreen", "dummy", "evdev")
"""Drivers that SDL falls back to without an error where there is no display."""
_LEFT_BUTTON = 1

SetInput = Callable[[str, object], None]


class WindowError(RuntimeError):
    """No window can be opened; the message says what to do."""


def _import_pygame() -> Any:
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    # SDL would turn SIGTERM into a window event.
    os.environ.setdefault("SDL_NO_SIGNAL_HANDLERS", "1")
    try:
        import pygame
    except ImportError as missing:
        raise WindowError(
            "a window needs pygame-ce: pip install -e '.[window]', or use --window=false"
        ) from missing
    return pygame


class Window:
    """Shows frames and turns keys and mouse into inputs.

    W A S D walk, the left and right arrows turn, and so does the left mouse button held on that
    side of the window; space jumps, shift runs.

    Args:
        title: of the window.
        size: width and height, pixels.
        set_input: receives the inputs, as `Simulation.set_input`.

    Raises:
        WindowError: pygame-ce is missing, or there is no display.
    """

    def __init__(
        self, title: str, size: tuple[int, int], set_input: SetInput = lambda address, value: None
    ) -> None:
        self._pygame = _import_pygame()
        self._set_input = set_input
        self._pygame.display.init()
        driver = self._pygame.display.get_driver()
        if driver in _HEADLESS:
            self._pygame.quit()
            raise WindowError(
                f"there is no display (SDL would use {driver!r}): set DISPLAY, or use "
                "--window=false"
            )
        self._window: pygame.Window = self._pygame.Window(title, size)
        # The first call may hide the window and create it anew with another backend.
        self._window.get_surface()
        self._keys = self._key_bindings()

    def _key_bindings(self) -> dict[int, str]:
        """Return the button of each key; buttons add to the axes that OSC sets."""
        keys = self._pygame
        return {
            keys.K_w: "/input/MoveForward",
            keys.K_s: "/input/MoveBackward",
            keys.K_a: "/input/MoveLeft",
            keys.K_d: "/input/MoveRight",
            keys.K_LEFT: "/input/LookLeft",
            keys.K_RIGHT: "/input/LookRight",
            keys.K_SPACE: "/input/Jump",
            keys.K_LSHIFT: "/input/Run",
            keys.K_RSHIFT: "/input/Run",
        }

    def show(self, frame: NDArray[np.uint8]) -> None:
        """Show a frame (3, H, W), scaled to cover the window and cropped to its centre."""
        width, height = self._window.size
        # The surface's array is (W, H, 3).
        pixels = cover(frame, height, width).transpose(2, 1, 0)
        self._pygame.surfarray.blit_array(self._window.get_surface(), pixels)
        self._window.flip()

    def resize(self, width: int, height: int) -> None:
        """Change the size, pixels."""
        self._window.size = (width, height)

    def move(self, left: int, top: int) -> None:
        """Move the upper left corner to a position on the desktop, pixels."""
        self._window.position = (left, top)

    def handle_events(self) -> bool:
        """Process keyboard, mouse and window events; return False once the window is closed."""
        for event in self._pygame.event.get():
            if event.type in (self._pygame.QUIT, self._pygame.WINDOWCLOSE):
                return False
            if event.type in (self._pygame.KEYDOWN, self._pygame.KEYUP):
                address = self._keys.get(event.key)
                if address is not None:
                    self._set_input(address, int(event.type == self._pygame.KEYDOWN))
            elif event.type in (self._pygame.MOUSEBUTTONDOWN, self._pygame.MOUSEMOTION):
                self._turn_towards(event)
            elif event.type in (self._pygame.MOUSEBUTTONUP, self._pygame.WINDOWFOCUSLOST):
                # Keys released elsewhere are never reported.
                for address in set(self._keys.values()):
                    self._set_input(address, 0)
        return True

    def _turn_towards(self, event: Any) -> None:
        pressed = self._pygame.mouse.get_pressed()[0]
        if event.type == self._pygame.MOUSEBUTTONDOWN:
            pressed = event.button == _LEFT_BUTTON
        if pressed:
            right = event.pos[0] > self._window.size[0] / 2
            self._set_input("/input/LookRight", int(right))
            self._set_input("/input/LookLeft", int(not right))

    def close(self) -> None:
        """Close the window."""
        self._window.destroy()
        self._pygame.quit()


def cover(frame: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Scale a frame (3, H, W) by nearest neighbour to (3, height, width), cropping the excess."""
    if frame.shape[1:] == (height, width):
        return frame
    scale = max(height / frame.shape[1], width / frame.shape[2])
    rows, columns = (
        ((np.arange(shown) + 0.5 - shown / 2) / scale + side / 2).astype(np.intp)
        for shown, side in ((height, frame.shape[1]), (width, frame.shape[2]))
    )
    return frame[:, rows[:, np.newaxis], columns]
