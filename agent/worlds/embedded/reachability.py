"""Where the body can get to: a grid map of clear positions."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from agent.worlds.embedded.physics import Boxes, is_clear
from agent.worlds.embedded.render.jit import jit
from agent.worlds.embedded.scenes.state import SceneState

_NEIGHBOURS = ((1, 0), (-1, 0), (0, 1), (0, -1))

Node = tuple[int, int]
"""Column and row of a grid node."""


@jit
def _mark_clear(
    solids: Boxes,
    bounds: Boxes,
    corner_x: float,
    corner_y: float,
    resolution: float,
    clear: NDArray[np.bool_],
) -> None:
    for row in range(clear.shape[0]):
        for column in range(clear.shape[1]):
            x, y = corner_x + column * resolution, corner_y + row * resolution
            clear[row, column] = is_clear(x, y, solids, bounds)


class ReachabilityMap:
    """The positions reachable from the body's position, with doors as they are now.

    Args:
        scene_state: of the world.
        resolution: grid spacing, metres.
    """

    def __init__(self, scene_state: SceneState, resolution: float = 0.1) -> None:
        x0, y0, x1, y1 = scene_state.bounds[0]
        self._cells = scene_state.cells
        self._resolution = resolution
        self._corner = (float(x0), float(y0))
        rows, columns = (round(length / resolution) + 1 for length in (y1 - y0, x1 - x0))
        self._clear = np.zeros((rows, columns), np.bool_)
        _mark_clear(scene_state.solids, scene_state.bounds, *self._corner, resolution, self._clear)
        start = self._nearest_clear(scene_state.body.x, scene_state.body.y)
        self._reached = self._search(start)

    def _nearest_clear(self, x: float, y: float) -> Node:
        """Return the clear node nearest to a point."""
        column = round((x - self._corner[0]) / self._resolution)
        row = round((y - self._corner[1]) / self._resolution)
        nearby = [(c, r) for c in range(column - 2, column + 3) for r in range(row - 2, row + 3)]
        nearby.sort(key=lambda node: (node[0] - column) ** 2 + (node[1] - row) ** 2)
        for node in nearby:
            if self._is_clear(node):
                return node
        raise ValueError(f"nothing near ({x:.2f}, {y:.2f}) is clear")

    def _is_clear(self, node: Node) -> bool:
        rows, columns = self._clear.shape
        column, row = node
        return 0 <= column < columns and 0 <= row < rows and bool(self._clear[row, column])

    def _search(self, start: Node) -> NDArray[np.bool_]:
        """Return which nodes can be reached from `start`, (rows, columns)."""
        reached = np.zeros_like(self._clear)
        reached[start[1], start[0]] = True
        queue = deque([start])
        while queue:
            column, row = queue.popleft()
            for dx, dy in _NEIGHBOURS:
                node = column + dx, row + dy
                if self._is_clear(node) and not reached[node[1], node[0]]:
                    reached[node[1], node[0]] = True
                    queue.append(node)
        return reached

    def points(self) -> list[tuple[float, float]]:
        """Return all reachable points."""
        (x, y), step = self._corner, self._resolution
        return [(x + c * step, y + r * step) for r, c in np.argwhere(self._reached).tolist()]

    def cells(self) -> set[int]:
        """Return the numbers of all 1 m cells with a reachable point."""
        return {self._cells.number(x, y) for x, y in self.points()}
