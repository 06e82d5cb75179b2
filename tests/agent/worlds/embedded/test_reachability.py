from __future__ import annotations

import math
import random
from collections import deque

import pytest

from agent.worlds.embedded.fixed_timestep import TIMESTEP
from agent.worlds.embedded.physics import WALK_SPEED
from agent.worlds.embedded.reachability import ReachabilityMap
from agent.worlds.embedded.scenes.street import Street
from agent.worlds.embedded.simulation import Simulation

Point = tuple[float, float]
RESOLUTION = 0.1
STILL = Street(moving=False)
NEAR = 0.005
"""Metres from a point at which the next one becomes the target."""


def follow(simulation: Simulation, path: list[Point]) -> None:
    """Walk from point to point without turning, by inputs alone."""
    body = simulation.scene_state.body
    pace = WALK_SPEED * TIMESTEP
    for x, y in path:
        for _ in range(12):
            dx, dy = x - body.x, y - body.y
            distance = math.hypot(dx, dy)
            if distance < NEAR:
                break
            share = min(1.0, distance / pace) / distance
            simulation.set_input("/input/Horizontal", dx * share)
            simulation.set_input("/input/Vertical", dy * share)
            simulation.step()


def predecessors(points: list[Point], start: Point) -> dict[Point, Point]:
    """Return for each point the one before it on a shortest way from `start` along the grid."""
    grid = {(round(x / RESOLUTION), round(y / RESOLUTION)): (x, y) for x, y in points}
    first = min(grid, key=lambda node: math.dist(grid[node], start))
    queue, before = deque([first]), {grid[first]: grid[first]}
    while queue:
        column, row = queue.popleft()
        for node in ((column + 1, row), (column - 1, row), (column, row + 1), (column, row - 1)):
            if node in grid and grid[node] not in before:
                before[grid[node]] = grid[column, row]
                queue.append(node)
    return before


def path_to(point: Point, before: dict[Point, Point]) -> list[Point]:
    """Return the points of a path, the start included."""
    path = [point]
    while before[path[-1]] != path[-1]:
        path.append(before[path[-1]])
    return path[::-1]


def walk_to_each(cells: list[int]) -> None:
    simulation = Simulation(STILL, 16, 0)
    scene_state = simulation.scene_state
    start = scene_state.body.x, scene_state.body.y
    before = predecessors(ReachabilityMap(scene_state, RESOLUTION).points(), start)
    first_in = {scene_state.cells.number(*point): point for point in reversed(before)}
    for cell in cells:
        scene_state.body.x, scene_state.body.y = start
        follow(simulation, path_to(first_in[cell], before))
        assert scene_state.cells.number(scene_state.body.x, scene_state.body.y) == cell, (
            scene_state.cells.corner(cell)
        )


@pytest.fixture(scope="module")
def reachable() -> list[int]:
    return sorted(ReachabilityMap(Simulation(STILL, 16, 0).scene_state).cells())


def test_paths_lead_to_a_sample_of_reachable_cells(reachable: list[int]) -> None:
    walk_to_each(random.Random(0).sample(reachable, 20))


@pytest.mark.slow
def test_paths_lead_to_every_reachable_cell(reachable: list[int]) -> None:
    walk_to_each(reachable)


def test_street_has_reachable_alleys_yard_and_room(reachable: list[int]) -> None:
    number = Simulation(STILL, 16, 0).scene_state.cells.number
    for point in ((20.0, 21.5), (-20.0, 41.5), (-8.0, 75.0), (7.0, 12.5)):
        assert number(*point) in reachable, point
    assert 800 < len(reachable) < 1200


def test_walled_in_cells_cannot_be_reached(reachable: list[int]) -> None:
    simulation = Simulation(STILL, 16, 0)
    behind_the_houses = simulation.scene_state.cells.number(20.0, 10.0)
    assert behind_the_houses not in reachable
    assert behind_the_houses not in ReachabilityMap(simulation.scene_state, 0.5).cells()
