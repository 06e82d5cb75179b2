"""A scene in motion: everything about it that changes from step to step."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.worlds.embedded.fixed_timestep import TIMESTEP
from agent.worlds.embedded.physics import Body, Boxes
from agent.worlds.embedded.render.raster_data import Atlas

FAR_AWAY = (1e6, 1e6, 1e6 + 1.0, 1e6 + 1.0)
"""Where a solid lies that stops nobody."""


Frame = NDArray[np.uint8]
"""What is seen, (3, H, W)."""
Look = Callable[[float, float, float], Frame]
"""Draws what a body would see that stood at x, y and looked along a heading."""


@dataclass(frozen=True)
class CellGrid:
    """Numbers of the 1 m cells of a world, row by row from its south-west corner."""

    west: int
    south: int
    columns: int

    @staticmethod
    def within(x0: float, y0: float, x1: float) -> CellGrid:
        """Number the cells of a world whose bounds begin at (x0, y0) and reach to x1."""
        return CellGrid(math.floor(x0), math.floor(y0), math.ceil(x1) - math.floor(x0))

    def number(self, x: float, y: float) -> int:
        """Return the number of the cell around a point."""
        return (math.floor(y) - self.south) * self.columns + math.floor(x) - self.west

    def corner(self, cell: int) -> tuple[int, int]:
        """Return the south-west corner of a cell."""
        row, column = divmod(cell, self.columns)
        return column + self.west, row + self.south


@dataclass
class SceneState:
    """The state that happenings change, the body bumps into and the renderer draws."""

    seed: int
    step: int
    """Physics steps taken."""
    body: Body
    solids: Boxes
    """(N, 4), numbered as `Mesh.solid` returned them."""
    bounds: Boxes
    """(1, 4), the box the body stays in."""
    cells: CellGrid
    poses: NDArray[np.float32]
    """(P, 3, 4) part coordinates -> world, one per part."""
    panels: NDArray[np.int32]
    """(K,) index into the atlas shown by each panel."""
    flickering: NDArray[np.bool_]
    """(K,) whether a panel counts as flickering at present."""
    atlas: Atlas
    texture_index: dict[str, int]
    """Where each texture lies in the atlas."""

    @property
    def time(self) -> float:
        """Seconds since the start."""
        return self.step * TIMESTEP

    def random(self, stream: int, moment: int) -> np.random.Generator:
        """Return the generator of one stream at one moment, the same however often it is asked.

        Frames may be drawn at any rate, so chance must hang on the moment, not on the calls.
        """
        counter = np.array([0, 0, moment, stream], np.uint64)
        return np.random.Generator(np.random.Philox(key=self.seed, counter=counter))


class SceneEffect:
    """Something that changes with time. Override what is needed."""

    def begin(self, scene_state: SceneState) -> None:
        """Set the stage up as it is at the start, before any step."""

    def prepare(self, scene_state: SceneState, look: Look) -> None:
        """Draw pictures of the world as it is at the start, if some are needed."""

    def advance(self, scene_state: SceneState) -> None:
        """Take one physics step; `stage.step` already counts it."""

    def state_dict(self) -> dict[str, float]:
        """Return what earlier steps have made of it, if the stage alone does not tell."""
        return {}

    def load_state_dict(self, state: Mapping[str, float], scene_state: SceneState) -> None:
        """Be as `state` says, on a stage whose step and body are restored already."""

    def arrange(self, scene_state: SceneState) -> None:
        """Put parts and panels where they belong now; called before a frame is drawn.

        Must be a pure function of the stage, because not every step is drawn.
        """

    def cover(self, picture: Frame, scene_state: SceneState) -> float:
        """Change the finished picture (3, H, W); return the share of it that now flickers."""
        return 0.0


def pose(x: float, y: float, z: float, turn: float = 0.0) -> NDArray[np.float32]:
    """Return the pose (3, 4) of a part moved to (x, y, z) and turned left by `turn` radians."""
    cosine, sine = np.cos(turn), np.sin(turn)
    return np.array(
        [[cosine, -sine, 0.0, x], [sine, cosine, 0.0, y], [0.0, 0.0, 1.0, z]], np.float32
    )
