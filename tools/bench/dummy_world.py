"""A world that costs nothing, for measuring and straining everything else."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


class DummyWorld:
    """Shows a few frames of noise in turn, in no time; implements `agent.worlds.base.World`.

    Args:
        size: side of the frames, in pixels.
    """

    info_names = ("looks",)
    invalid_reason = None

    def __init__(self, size: int) -> None:
        rng = np.random.default_rng(0)
        self._frames = rng.integers(0, 256, (7, 3, size, size), np.uint8)
        self.looks = 0

    def status(self) -> dict[str, Any]:
        """Return nothing: there is no body."""
        return {}

    def observe(self) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Return the next frame."""
        self.looks += 1
        return self._frames[self.looks % len(self._frames)], np.array([self.looks], np.float32)

    def act(self, action: NDArray[np.int64]) -> None:
        """Do nothing."""

    def release_inputs(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""
