"""What changes in a scene with time: its state, and the effects that change it."""

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
"""A solid here stops nobody."""

Frame = NDArray[np.uint8]
"""(3, H, W)."""
RenderView = Callable[[float, float, float], Frame]
"""Renders the view from x, y along a heading."""


@dataclass(frozen=True)
class CellGrid:
    """Numbers of the 1 m cells of a world, row by row from its south-west corner."""

    west: int
    south: int
    columns: int

    @staticmethod
    def within(x0: float, y0: float, x1: float) -> CellGrid:
        """Return the grid of a world whose bounds start at (x0, y0) and end at x1."""
        return CellGrid(math.floor(x0), math.floor(y0), math.ceil(x1) - math.floor(x0))

    def number(self, x: float, y: float) -> int:
        """Return the number of the cell that contains a point."""
        return (math.floor(y) - self.south) * self.columns + math.floor(x) - self.west

    def corner(self, cell: int) -> tuple[int, int]:
        """Return the south-west corner of a cell."""
        row, column = divmod(cell, self.columns)
        return column + self.west, row + self.south


@dataclass
class SceneState:
    """The state that physics and effects change and the renderer reads."""

    seed: int
    step: int
    """Physics steps taken."""
    body: Body
    solids: Boxes
    """(N, 4), numbered as `Mesh.solid` returned them."""
    bounds: Boxes
    """(1, 4), the box that contains the body."""
    cells: CellGrid
    poses: NDArray[np.float32]
    """(P, 3, 4) part coordinates to world coordinates."""
    panels: NDArray[np.int32]
    """(K,) atlas index of the texture of each panel."""
    flickering: NDArray[np.bool_]
    """(K,) whether each panel counts as flickering now."""
    atlas: Atlas
    texture_index: dict[str, int]
    """Atlas index of each texture."""

    @property
    def time(self) -> float:
        """Seconds since the start."""
        return self.step * TIMESTEP

    def random(self, stream: int, counter: int) -> np.random.Generator:
        """Return a counter-based generator: the same numbers for the same stream and counter.

        Frames may be rendered at any rate, so randomness must not depend on the number of calls.
        """
        position = np.array([0, 0, counter, stream], np.uint64)
        return np.random.Generator(np.random.Philox(key=self.seed, counter=position))


class SceneEffect:
    """Something that changes with time. Override what is needed."""

    def reset(self, scene_state: SceneState) -> None:
        """Set up the initial state, before any step."""

    def prepare(self, scene_state: SceneState, render_view: RenderView) -> None:
        """Render views of the initial state, if the effect needs any."""

    def step(self, scene_state: SceneState) -> None:
        """Take one physics step, which `scene_state.step` already counts."""

    def state_dict(self) -> dict[str, float]:
        """Return what depends on earlier steps and is not in the scene state."""
        return {}

    def load_state_dict(self, state: Mapping[str, float], scene_state: SceneState) -> None:
        """Continue from a state; the step and body of `scene_state` are loaded already."""

    def animate(self, scene_state: SceneState) -> None:
        """Set the poses of parts and the textures of panels, before a frame is rendered.

        Must be a pure function of the state, because not every step is rendered.
        """

    def post_process(self, frame: Frame, scene_state: SceneState) -> float:
        """Change a rendered frame (3, H, W) in place; return the share that flickers now."""
        return 0.0


def pose(x: float, y: float, z: float, turn: float = 0.0) -> NDArray[np.float32]:
    """Return the pose (3, 4) of a part at (x, y, z), turned left by `turn` radians."""
    cosine, sine = np.cos(turn), np.sin(turn)
    return np.array(
        [[cosine, -sine, 0.0, x], [sine, cosine, 0.0, y], [0.0, 0.0, 1.0, z]], np.float32
    )
