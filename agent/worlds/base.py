"""What every world offers the agent, whether it is VRChat or drawn by us."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class World(Protocol):
    """A place with a body in it."""

    @property
    def info_names(self) -> tuple[str, ...]:
        """What each number of `info` means.

        Ground truth or avatar parameters, for tools and controls: the agent never learns from them.
        """
        ...

    @property
    def invalid_reason(self) -> str | None:
        """Why what `observe` returned last cannot be trusted; None while the senses are sound."""
        ...

    def status(self) -> Mapping[str, str | int | None]:
        """Return what is worth showing a person of the body; empty where nothing is."""
        ...

    def observe(self) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Return what the body sees now, frame (3, H, W), and the info (K,), NaN where absent."""
        ...

    def act(self, action: NDArray[np.int64]) -> None:
        """Apply one action (A,), categories as in `agent.actions`; it holds until the next."""
        ...

    def release_inputs(self) -> None:
        """Set every input to neutral and forget what was sent last."""
        ...

    def close(self) -> None:
        """Rest, then release everything the world holds. May be called twice."""
        ...
