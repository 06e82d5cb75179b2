"""The embedded worlds' front door: the simulation itself, and a world made of it."""

from __future__ import annotations

from typing import Literal

from agent.worlds.base import World
from agent.worlds.embedded.lockstep import LockstepWorld
from agent.worlds.embedded.realtime import RealtimeWorld
from agent.worlds.embedded.scenes.base import Scene
from agent.worlds.embedded.simulation import INFO_NAMES, Simulation, Size

Clock = Literal["real", "lockstep"]


def make_world(
    scene: Scene,
    size: Size,
    seed: int,
    clock: Clock,
    rate: float,
    osc_port: int | None = None,
    supersample: int = 1,
    scale: float = 1.0,
) -> World:
    """Make the world an agent lives in.

    Args:
        place: the world's recipe.
        size: side of the square frames, or (height, width).
        seed: of everything left to chance.
        clock: "real" runs beside the agent and is steered over OSC; "lockstep" waits for it.
        rate: ticks a second; matters in lockstep only, where it must divide 30.
        osc_port: where a real-time world listens; None: any free port.
        supersample: pixels drawn for each pixel shown, along each side.
        scale: seconds of a real-time world to a second on the wall.

    Raises:
        ValueError: an unknown clock, or a rate that lockstep cannot keep.
        RuntimeError: the real-time world did not come up.
    """
    if clock == "lockstep":
        return LockstepWorld(scene, size, seed, rate, supersample)
    if clock == "real":
        return RealtimeWorld(scene, size, seed, osc_port, supersample, scale)
    raise ValueError(f'clock must be "real" or "lockstep", got {clock!r}')


__all__ = ["INFO_NAMES", "Clock", "LockstepWorld", "RealtimeWorld", "Simulation", "make_world"]
