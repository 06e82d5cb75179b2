"""A real window that shows the world, found and captured like VRChat's, and steered by keys."""

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
"""Drivers SDL falls back to in silence where there is no display."""
_LEFT_BUTTON = 1

SetInput = Callable[[str, object], None]


class WindowError(RuntimeError):
    """No window can be opened here; the message says what to do."""


def _pygame() -> Any:
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
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
        width: of the frames.
        height: of the frames.
        set_input: takes the inputs, as `Simulation.set_input`.

    Raises:
        WindowError: pygame-ce is missing, or there is no display.
    """

    def __init__(self, width: int, height: int, set_input: SetInput) -> None:
        self._pygame = _pygame()
        self._set_input = set_input
        self._width = width
        self._pygame.display.init()
        driver = self._pygame.display.get_driver()
        if driver in _HEADLESS:
            self._pygame.quit()
            raise WindowError(
                f"there is no display (SDL would use {driver!r}): set DISPLAY, or use "
                "--window=false"
            )
        self._pygame.display.set_caption(TITLE)
        self._surface: pygame.Surface = self._pygame.display.set_mode((width, height))
        self._keys = self._key_table()

    def _key_table(self) -> dict[int, str]:
        """Return the button each key presses; they add to the axes that OSC sets."""
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
        """Show a frame (3, H, W)."""
        # The surface's array is (W, H, 3).
        self._pygame.surfarray.blit_array(self._surface, frame.transpose(2, 1, 0))
        self._pygame.display.flip()

    def handle_events(self) -> bool:
        """Take what the person did; returns False once the window is closed."""
        for event in self._pygame.event.get():
            if event.type == self._pygame.QUIT:
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
            right = event.pos[0] > self._width / 2
            self._set_input("/input/LookRight", int(right))
            self._set_input("/input/LookLeft", int(not right))

    def close(self) -> None:
        """Close the window."""
        self._pygame.quit()
