"""Named regions of the embedded worlds, by which the time of a run is divided."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.worlds.embedded.reachability import ReachabilityMap
from agent.worlds.embedded.scenes.base import Scene
from agent.worlds.embedded.scenes.food_room import FoodRoom
from agent.worlds.embedded.scenes.state import CellGrid
from agent.worlds.embedded.scenes.street import Street
from agent.worlds.embedded.simulation import Simulation
from pamiq_lightning.utils.instantiate import build

TINY = 16
"""Size of frames, which are not drawn."""
Where = Callable[[float, float], str]


def street_region(x: float, y: float) -> str:
    """Return the region of the street in which a point lies."""
    if y >= 62.0:
        return "shrine"
    if x >= 4.5:
        return "teahouse" if y < 20.0 else "east alley"
    if x <= -4.5:
        return "west alley"
    return "south of the street" if y < 26.0 else "north of the street"


def room_region(x: float, y: float, width: float, length: float) -> str:
    """Return whether a point lies within 2 m of a wall."""
    wall = min(width / 2 - abs(x), y, length - y)
    return "along the walls" if wall < 2.0 else "middle"


@dataclass(frozen=True)
class Map:
    """The cells and regions of a scene.

    Attributes:
        scene: as the settings name it.
        cells: numbering of its 1 m cells.
        reachable: numbers of the cells that can be entered, with all doors open that ever open.
        regions: of each reachable cell.
    """

    scene: Scene
    cells: CellGrid
    reachable: NDArray[np.int64]
    regions: NDArray[np.str_]

    def area_shares(self) -> dict[str, float]:
        """Return each region's share of the reachable cells."""
        names, counts = np.unique(self.regions, return_counts=True)
        total = len(self.reachable)
        return {str(n): int(c) / total for n, c in zip(names, counts, strict=True)}

    def noisy_region(self) -> str | None:
        """Return the region with the noisy screen; None where there is none."""
        return "east alley" if type(self.scene).__name__ == "OneScreen" else None

    def region_of(self, cells: NDArray[np.int64]) -> NDArray[np.str_]:
        """Return the region of every cell; `elsewhere` where none is reachable."""
        known = dict(zip(self.reachable.tolist(), self.regions.tolist(), strict=True))
        return np.array([known.get(cell, "elsewhere") for cell in cells.tolist()])


def _opened(spec: dict[str, Any]) -> dict[str, Any]:
    """Return the scene with all doors open that ever open."""
    arguments = dict(spec.get("init_args") or {})
    for door in ("shutter", "gate"):
        if arguments.get(f"{door}_toggles_at_s"):
            arguments |= {f"{door}_toggles_at_s": [], f"{door}_open": True}
    return {**spec, "init_args": arguments}


def map_of(spec: dict[str, Any], seed: int = 0) -> Map:
    """Return the map of a scene as the settings name it."""
    opened = build(Scene, _opened(spec), "scene")
    scene_state = Simulation(opened, TINY, seed).scene_state
    plan = ReachabilityMap(scene_state)
    reachable = np.array(sorted(plan.cells()), np.int64)
    where = _where(opened)
    corners = [scene_state.cells.corner(cell) for cell in reachable.tolist()]
    regions = np.array([where(x + 0.5, y + 0.5) for x, y in corners])
    return Map(build(Scene, spec, "scene"), replace(scene_state.cells), reachable, regions)


def _where(scene: Scene) -> Where:
    if isinstance(scene, Street):
        return street_region
    if isinstance(scene, FoodRoom):
        return lambda x, y: room_region(x, y, 2.0 * scene.width, 2.0 * scene.length)
    return lambda x, y: "everywhere"
