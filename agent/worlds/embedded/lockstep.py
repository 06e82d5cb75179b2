"""The embedded world under lockstep: world time advances only when the agent observes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.actions import ACTIONS, inputs
from agent.worlds.embedded.fixed_timestep import LOCKSTEP_RATES, PHYSICS_HZ
from agent.worlds.embedded.scenes.base import Scene
from agent.worlds.embedded.simulation import Simulation, Size


def apply_action(simulation: Simulation, action: NDArray[np.int64]) -> None:
    """Set the inputs of the next physics steps from an action (A,)."""
    for axis in ACTIONS:
        if axis.tap:
            # Each tap is one press, as in real time.
            simulation.set_input(axis.address, 0)
    for address, value in inputs(action).items():
        simulation.set_input(address, value)


class LockstepWorld:
    """Implements `agent.worlds.base.World` in this process, deterministic and without a clock.

    Args:
        scene: to build.
        size: side of square frames, or (height, width), pixels.
        seed: of all randomness.
        rate: ticks per second of world time; must divide 30.

    Raises:
        ValueError: a rate that does not divide 30.
    """

    invalid_reason = None
    """Its frames are always valid."""

    def __init__(self, scene: Scene, size: Size, seed: int, rate: float) -> None:
        if rate not in LOCKSTEP_RATES:
            allowed = ", ".join(map(str, LOCKSTEP_RATES))
            raise ValueError(f"rate must divide {PHYSICS_HZ}: one of {allowed}; got {rate}")
        self.simulation = Simulation(scene, size, seed)
        self.info_names = self.simulation.info_names
        self._steps_per_tick = PHYSICS_HZ // int(rate)
        self._started = False

    def status(self) -> dict[str, str | int | None]:
        """Return nothing: there is no connection to report."""
        return {}

    def observe(self) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Advance by one tick, except on the first call; return frame (3, H, W) and info (K,)."""
        if self._started:
            for _ in range(self._steps_per_tick):
                self.simulation.step()
        self._started = True
        frame = self.simulation.frame()
        return frame, self.simulation.info()

    def act(self, action: NDArray[np.int64]) -> None:
        """Set the inputs of the next tick from an action (A,)."""
        apply_action(self.simulation, action)

    def state_dict(self) -> dict[str, Any]:
        """Return the state as built-in types."""
        return {"started": self._started, **self.simulation.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a state.

        Raises:
            ValueError: the state of another scene.
        """
        self.simulation.load_state_dict(state)
        self._started = state["started"]

    def release_inputs(self) -> None:
        """Set every input to neutral."""
        self.simulation.release_inputs()

    def close(self) -> None:
        """Release the inputs; nothing else is held."""
        self.release_inputs()
