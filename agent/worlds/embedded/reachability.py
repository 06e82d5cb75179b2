"""Where a body can get to, and how: a map of clear spots, for tools, tests and oracles."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from agent.worlds.embedded.physics import Boxes, is_clear
from agent.worlds.embedded.render.jit import compiled
from agent.worlds.embedded.scenes.state import SceneState

_NEIGHBOURS = ((1, 0), (-1, 0), (0, 1), (0, -1))
_UNREACHED = -1

Spot = tuple[int, int]
"""Column and row."""


@compiled
def _clear_spots(
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
    """The spots that can be reached from where the body stands, doors as they are now.

    Args:
        stage: the world that is mapped.
        resolution: metres between two spots of the map.
    """

    def __init__(self, scene_state: SceneState, resolution: float = 0.1) -> None:
        x0, y0, x1, y1 = scene_state.bounds[0]
        self._numbers = scene_state.cells
        self._resolution = resolution
        self._corner = (float(x0), float(y0))
        rows, columns = (round(length / resolution) + 1 for length in (y1 - y0, x1 - x0))
        self._clear = np.zeros((rows, columns), np.bool_)
        _clear_spots(scene_state.solids, scene_state.bounds, *self._corner, resolution, self._clear)
        self._before = self._flood(self._spot(scene_state.body.x, scene_state.body.y))

    def _spot(self, x: float, y: float) -> Spot:
        """Return the clear spot nearest to a point."""
        column = round((x - self._corner[0]) / self._resolution)
        row = round((y - self._corner[1]) / self._resolution)
        nearby = [(c, r) for c in range(column - 2, column + 3) for r in range(row - 2, row + 3)]
        nearby.sort(key=lambda spot: (spot[0] - column) ** 2 + (spot[1] - row) ** 2)
        for spot in nearby:
            if self._is_clear(spot):
                return spot
        raise ValueError(f"there is no clear spot at ({x:.2f}, {y:.2f})")

    def _is_clear(self, spot: Spot) -> bool:
        rows, columns = self._clear.shape
        column, row = spot
        return 0 <= column < columns and 0 <= row < rows and bool(self._clear[row, column])

    def _flood(self, start: Spot) -> NDArray[np.int32]:
        """Find for each spot the one before it on the way from `start`, (rows, columns)."""
        rows, columns = self._clear.shape
        before = np.full((rows, columns), _UNREACHED, np.int32)
        before[start[1], start[0]] = start[1] * columns + start[0]
        queue = deque([start])
        while queue:
            column, row = queue.popleft()
            for dx, dy in _NEIGHBOURS:
                spot = column + dx, row + dy
                if self._is_clear(spot) and before[spot[1], spot[0]] == _UNREACHED:
                    before[spot[1], spot[0]] = row * columns + column
                    queue.append(spot)
        return before

    def _scene(self, row: int, column: int) -> tuple[float, float]:
        return self._corner[0] + column * self._resolution, self._corner[1] + row * self._resolution

    def scenes(self) -> list[tuple[float, float]]:
        """Return all spots that can be reached."""
        rows, columns = np.nonzero(self._before != _UNREACHED)
        return [self._scene(r, c) for r, c in zip(rows.tolist(), columns.tolist(), strict=True)]

    def cells(self) -> set[int]:
        """Return the numbers of all 1 m cells with a spot that can be reached."""
        return {self._numbers.number(x, y) for x, y in self.scenes()}

    def path_to_cell(self, cell: int) -> list[tuple[float, float]]:
        """Return the points of a shortest way into a cell, the start included.

        Raises:
            ValueError: the cell cannot be reached.
        """
        rows, columns = np.nonzero(self._before != _UNREACHED)
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
            if self._numbers.number(*self._scene(row, column)) == cell:
                return self._path(row, column)
        raise ValueError(f"cell {cell} cannot be reached")

    def _path(self, row: int, column: int) -> list[tuple[float, float]]:
        width = self._clear.shape[1]
        points = [self._scene(row, column)]
        while self._before[row, column] != row * width + column:
            row, column = divmod(int(self._before[row, column]), width)
            points.append(self._scene(row, column))
        return points[::-1]
