"""The contract of a world: what VRChat and the embedded world offer the agent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class World(Protocol):
    """An environment with a body in it."""

    @property
    def info_names(self) -> tuple[str, ...]:
        """What each number of `info` means.

        Ground truth or avatar parameters, for tools and baselines; the agent never learns from it.
        """
        ...

    @property
    def invalid_reason(self) -> str | None:
        """Why the frame that `observe` returned last is invalid; None while frames are valid."""
        ...

    def status(self) -> Mapping[str, str | int | None]:
        """Return what the status display shows of the connection; empty if there is none."""
        ...

    def observe(self) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Return the current frame (3, H, W) and info (K,), NaN where a value is absent."""
        ...

    def act(self, action: NDArray[np.int64]) -> None:
        """Apply an action (A,), categories as in `agent.actions`; it holds until the next."""
        ...

    def release_inputs(self) -> None:
        """Set every input to neutral."""
        ...

    def close(self) -> None:
        """Release the inputs, then everything else. May be called twice."""
        ...
