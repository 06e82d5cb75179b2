"""Where the body can get to, and how: a grid map of clear positions."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from agent.worlds.embedded.physics import Boxes, is_clear
from agent.worlds.embedded.render.jit import jit
from agent.worlds.embedded.scenes.state import SceneState

_NEIGHBOURS = ((1, 0), (-1, 0), (0, 1), (0, -1))
_UNREACHED = -1

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
        self._parents = self._search(start)

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

    def _search(self, start: Node) -> NDArray[np.int32]:
        """Breadth-first search; return each node's parent as a flat index, (rows, columns)."""
        rows, columns = self._clear.shape
        parents = np.full((rows, columns), _UNREACHED, np.int32)
        parents[start[1], start[0]] = start[1] * columns + start[0]
        queue = deque([start])
        while queue:
            column, row = queue.popleft()
            for dx, dy in _NEIGHBOURS:
                node = column + dx, row + dy
                if self._is_clear(node) and parents[node[1], node[0]] == _UNREACHED:
                    parents[node[1], node[0]] = row * columns + column
                    queue.append(node)
        return parents

    def _point(self, row: int, column: int) -> tuple[float, float]:
        return self._corner[0] + column * self._resolution, self._corner[1] + row * self._resolution

    def points(self) -> list[tuple[float, float]]:
        """Return all reachable points."""
        rows, columns = np.nonzero(self._parents != _UNREACHED)
        return [self._point(r, c) for r, c in zip(rows.tolist(), columns.tolist(), strict=True)]

    def cells(self) -> set[int]:
        """Return the numbers of all 1 m cells with a reachable point."""
        return {self._cells.number(x, y) for x, y in self.points()}

    def path_to_cell(self, cell: int) -> list[tuple[float, float]]:
        """Return the points of a shortest path into a cell, the start included.

        Raises:
            ValueError: the cell cannot be reached.
        """
        rows, columns = np.nonzero(self._parents != _UNREACHED)
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
            if self._cells.number(*self._point(row, column)) == cell:
                return self._path(row, column)
        raise ValueError(f"cell {cell} cannot be reached")

    def _path(self, row: int, column: int) -> list[tuple[float, float]]:
        width = self._clear.shape[1]
        points = [self._point(row, column)]
        while self._parents[row, column] != row * width + column:
            row, column = divmod(int(self._parents[row, column]), width)
            points.append(self._point(row, column))
        return points[::-1]
