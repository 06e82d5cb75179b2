"""A world that costs nothing, to measure everything else."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


class DummyWorld:
    """Shows a few frames of noise in turn; implements `agent.worlds.base.World`."""

    info_names = ("count",)
    invalid_reason = None

    def __init__(self, size: int) -> None:
        rng = np.random.default_rng(0)
        self._frames = rng.integers(0, 256, (7, 3, size, size), np.uint8)
        self.count = 0

    def status(self) -> dict[str, Any]:
        """Return nothing."""
        return {}

    def observe(self) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Return the next frame."""
        self.count += 1
        return self._frames[self.count % len(self._frames)], np.array([self.count], np.float32)

    def act(self, action: NDArray[np.int64]) -> None:
        """Do nothing."""

    def release_inputs(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""
