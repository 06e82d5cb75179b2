"""What every eye offers, whatever it looks through."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class CaptureError(RuntimeError):
    """The agent cannot see; the message says why and what to do about it."""


class FrameSource(Protocol):
    """A source of square pictures: the screen, a camera, a recorded video."""

    @property
    def captured(self) -> tuple[int, int] | None:
        """Width and height of what the last look captured; None where they never change."""
        ...

    def read(self) -> NDArray[np.uint8]:
        """Return what is seen now, uint8 RGB (3, size, size).

        Raises:
            CaptureError: nothing can be seen at the moment; looking again later may succeed.
        """
        ...

    def close(self) -> None:
        """Release whatever the eye holds. May be called twice."""
        ...
