"""Japan Street: a shopping street in cherry blossom, two alleys, a teahouse and a shrine."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

from agent.worlds.embedded.render.mesh import Mesh
from agent.worlds.embedded.scenes.base import BuiltScene, Scene, Start
from agent.worlds.embedded.scenes.props import ground, overhead, shrine
from agent.worlds.embedded.scenes.props.cyclist import Cyclist, build_cyclist
from agent.worlds.embedded.scenes.props.fence import fence, gateway
from agent.worlds.embedded.scenes.props.ground import HALF_ROAD, HALF_STREET
from agent.worlds.embedded.scenes.props.horizon import horizon
from agent.worlds.embedded.scenes.props.houses import DEPTH, SHOPS, TAVERNS, row
from agent.worlds.embedded.scenes.props.overhead import SwingingStrings
from agent.worlds.embedded.scenes.props.petals import FallingPetals, build_petals
from agent.worlds.embedded.scenes.props.plants import GREEN, tree
from agent.worlds.embedded.scenes.props.storefront import vending_machine
from agent.worlds.embedded.scenes.props.teahouse import WIDTH as TEAHOUSE_WIDTH
from agent.worlds.embedded.scenes.props.teahouse import teahouse
from agent.worlds.embedded.scenes.state import FAR_AWAY, SceneEffect
from agent.worlds.embedded.scenes.textures import street_textures

_NORTH_END = 62.0
_EAST_ALLEY, _WEST_ALLEY = (20.0, 23.2), (40.0, 43.2)
_ALLEY_END = 24.0
_TEAHOUSE = 8.0
_GATE = 64.0
_YARD = (-10.0, 10.0, 82.0)
"""West, east and north edge."""
EAST_ALLEY_END = (_ALLEY_END, (_EAST_ALLEY[0] + _EAST_ALLEY[1]) / 2)
"""The middle of the fence that closes the eastern alley."""
_BOUNDS = (-_ALLEY_END - 1.0, 0.0, _ALLEY_END + 1.0, _YARD[2])
_TREES = ((-3.6, 11.0), (3.6, 17.0), (-3.6, 27.0), (3.6, 30.5), (3.6, 39.0), (-3.6, 49.0),
          (3.6, 53.0))  # fmt: skip
_POLES = tuple((-3.15 if k % 2 == 0 else 3.15, 3.0 + 10.5 * k) for k in range(6))
_STRINGS = (9.0, 24.5, 36.0, 46.5, 57.5)
_CROSSINGS = (14.0, 33.0)
_WEST, _EAST = math.pi / 2, -math.pi / 2
"""Turns of the houses on the western and eastern side of the street, which look at it."""


class Street(Scene):
    """A Japanese shopping street of about 60 m, with alleys, a teahouse to enter and a shrine.

    Args:
        layout: seed of the houses and street furniture; independent of the seed of the run.
        shutter_open: whether the teahouse starts open.
        shutter_toggles_at_s: seconds from the start at which its shutter opens or closes.
        gate_open: whether the gate of the western alley starts open.
        gate_toggles_at_s: seconds from the start at which that gate opens or closes.
        moving: whether the cyclist rides, the lanterns swing and the petals fall.
        cyclist_speed: metres a second.
        start: of the body: x (east) and y (north), metres; must be clear.
    """

    def __init__(
        self,
        layout: int = 7,
        shutter_open: bool = True,
        shutter_toggles_at_s: Sequence[float] = (),
        gate_open: bool = True,
        gate_toggles_at_s: Sequence[float] = (),
        moving: bool = True,
        cyclist_speed: float = 3.0,
        start: Sequence[float] = (0.3, 26.0),
    ) -> None:
        if len(start) != 2:
            raise ValueError(f"start must be x and y in metres, got {list(start)}")
        self.layout = layout
        self.shutter_open = shutter_open
        self.shutter_toggles_at_s = list(shutter_toggles_at_s)
        self.gate_open = gate_open
        self.gate_toggles_at_s = list(gate_toggles_at_s)
        self.moving = moving
        self.cyclist_speed = cyclist_speed
        self.start = list(start)

    def build(self, seed: int) -> BuiltScene:
        """Build the street; it does not depend on the seed."""
        mesh, rng = Mesh(), random.Random(self.layout)
        effects: list[SceneEffect] = []
        ground.beyond(mesh, _BOUNDS, 130.0)
        ground.street(mesh, 0.0, _NORTH_END)
        for y in _CROSSINGS:
            ground.crossing(mesh, y)
        (east0, east1), (west0, west1) = _EAST_ALLEY, _WEST_ALLEY
        ground.pavement_edge(mesh, (HALF_STREET, east0), (HALF_STREET, east1))
        ground.pavement_edge(mesh, (-HALF_STREET, west1), (-HALF_STREET, west0))
        for x0, x1 in ((-HALF_STREET, -HALF_ROAD), (HALF_ROAD, HALF_STREET)):
            ground.pavement_edge(mesh, (x1, _NORTH_END), (x0, _NORTH_END))
        effects += self._houses(mesh, rng)
        effects += self._east_alley(mesh, rng) + self._west_alley(mesh, rng)
        self._yard(mesh, rng)
        effects += self._street_furniture(mesh)
        if self.moving:
            effects += self._movers(mesh, rng)
        return BuiltScene(
            mesh=mesh,
            sky=horizon(),
            textures=street_textures(),
            bounds=_BOUNDS,
            start=Start(*self.start),
            effects=effects,
        )

    def _houses(self, mesh: Mesh, rng: random.Random) -> list[SceneEffect]:
        """Build both sides of the main street and the wall at its southern end."""
        for y0, y1 in ((0.0, _WEST_ALLEY[0]), (_WEST_ALLEY[1], _NORTH_END)):
            with mesh.at(-HALF_STREET, y0, turn=_WEST):
                row(mesh, rng, y1 - y0, SHOPS)
        spans = (
            (0.0, _TEAHOUSE),
            (_TEAHOUSE + TEAHOUSE_WIDTH, _EAST_ALLEY[0]),
            (_EAST_ALLEY[1], _NORTH_END),
        )
        for y0, y1 in spans:
            with mesh.at(HALF_STREET, y1, turn=_EAST):
                row(mesh, rng, y1 - y0, SHOPS)
        mesh.box((0.0, -0.5, 1.6), (2 * HALF_STREET, 1.0, 3.2), "stucco", "YZ", repeat=(3, 1))
        for x, leaves in ((-2.0, "leaf"), (0.4, "flowers"), (2.2, "leaf2")):
            mesh.foliage(x, 0.5, 0.8, 0.8, leaves, 0.9)
        mesh.solid(-HALF_STREET, 0.0, HALF_STREET, 0.9)
        with mesh.at(HALF_STREET, _TEAHOUSE + TEAHOUSE_WIDTH, turn=_EAST):
            return [teahouse(mesh, rng, self.shutter_open, self.shutter_toggles_at_s)]

    def _east_alley(self, mesh: Mesh, rng: random.Random) -> list[SceneEffect]:
        """Build the alley of taverns, under a low string of lanterns."""
        y0, y1 = _EAST_ALLEY
        inner = HALF_STREET + DEPTH
        ground.tiles(mesh, HALF_STREET, y0, _ALLEY_END, y1, 0.01, "slabs", 0.85, 1.6)
        with mesh.at(_ALLEY_END, y0, turn=math.pi):
            row(mesh, rng, _ALLEY_END - inner, TAVERNS, furniture=False)
        with mesh.at(inner, y1):
            row(mesh, rng, _ALLEY_END - inner, TAVERNS, furniture=False)
            vending_machine(mesh, -1.2, "vend_r")
        with mesh.at(_ALLEY_END, y1, turn=_EAST):
            fence(mesh, y1 - y0, 3.0)
        middle = (y0 + y1) / 2
        strings = [
            (overhead.lantern_string(mesh, 1.5, 3), x, middle, 4.2, math.pi / 2)
            for x in (7.0, 11.5, 16.0, 20.5)
        ]
        return [SwingingStrings(strings, 0.25, 2.1)] if self.moving else _hung(strings)

    def _west_alley(self, mesh: Mesh, rng: random.Random) -> list[SceneEffect]:
        """Build the quiet alley behind a gate, with trees along a fence."""
        y0, y1 = _WEST_ALLEY
        inner = HALF_STREET + DEPTH
        ground.tiles(mesh, -_ALLEY_END, y0, -HALF_STREET, y1, 0.01, "walk", 0.8, 1.6)
        with mesh.at(-inner, y0, turn=math.pi):
            row(mesh, rng, _ALLEY_END - inner, TAVERNS, furniture=False)
        with mesh.at(-_ALLEY_END, y1):
            fence(mesh, _ALLEY_END - inner, 2.2)
        for k in range(4):
            mesh.foliage(-13.0 - 3.2 * k, y1 + 1.2, 2.4, 1.6, "bamboo", 0.95, k * 0.7, 3)
        with mesh.at(-_ALLEY_END, y0, turn=_WEST):
            fence(mesh, y1 - y0, 3.0)
        with mesh.at(-HALF_STREET, y0, turn=_WEST):
            return [gateway(mesh, y1 - y0, self.gate_open, self.gate_toggles_at_s)]

    def _yard(self, mesh: Mesh, rng: random.Random) -> None:
        """Build the shrine's gate, path, hall, trees and fence."""
        west, east, north = _YARD
        inner = HALF_STREET + DEPTH
        ground.tiles(mesh, west, _NORTH_END, east, north, 0.0, "gravel", 1.0)
        ground.tiles(mesh, -2.2, _NORTH_END, 2.2, _GATE + 7.0, 0.02, "slabs", 0.98, 2.2)
        with mesh.at(0.0, _GATE):
            shrine.gate(mesh)
            for x in (-2.9, 2.9):
                shrine.stone_lantern(mesh, x, 2.5)
                shrine.stone_lantern(mesh, x, 5.5)
            shrine.hall(mesh, 7.0)
        for x0, x1 in ((west, -inner), (inner, east)):
            with mesh.at(x1, _NORTH_END, turn=math.pi):
                fence(mesh, x1 - x0, 2.2)
        with mesh.at(west, _NORTH_END, turn=_WEST):
            fence(mesh, north - _NORTH_END, 2.2)
        with mesh.at(east, north, turn=_EAST):
            fence(mesh, north - _NORTH_END, 2.2)
        with mesh.at(west, north):
            fence(mesh, east - west, 2.2)
        for x, y in ((-6.8, 66.0), (6.8, 66.5), (-7.5, 71.5), (7.6, 72.0), (-7.0, 78.0),
                     (7.2, 78.5)):  # fmt: skip
            tree(mesh, x, y, 1.25)
        for k in range(9):
            tree(mesh, west - 2.0 + k * 3.0, north + 2.0 + rng.random() * 2, 1.5, GREEN)

    def _street_furniture(self, mesh: Mesh) -> list[SceneEffect]:
        """Plant the trees and put up poles, wires, lanterns and small things."""
        for x, y in _TREES:
            tree(mesh, x, y, 1.05)
            ground.petals(mesh, -3.0, y - 2.5, 3.0, y + 2.5)
        for x, y in _POLES:
            overhead.pole(mesh, x, y, -math.copysign(1.0, x))
        overhead.cables(mesh, _POLES, HALF_STREET)
        mesh.cylinder(3.7, 27.6, 0.12, 1.3, 0.22, 10, "red")
        mesh.cylinder(3.7, 27.6, 1.3, 1.42, 0.26, 10, "red", top_radius=0.1)
        mesh.solid(3.45, 27.35, 3.95, 27.85)
        mesh.cylinder(2.95, 19.4, 0.0, 2.4, 0.04, 5, "orange")
        mesh.box((2.95, 19.4, 2.65), (0.56, 0.05, 0.56), {"y": "u0", "*": "orange"})
        strings = [(overhead.lantern_string(mesh, HALF_STREET), 0.0, y, 5.3, 0.0) for y in _STRINGS]
        return [SwingingStrings(strings)] if self.moving else _hung(strings)

    def _movers(self, mesh: Mesh, rng: random.Random) -> list[SceneEffect]:
        """Add the cyclist and the falling petals."""
        solid = len(mesh.solids)
        mesh.solids.append(FAR_AWAY)
        rider = Cyclist(build_cyclist(mesh), solid, 6.0, _NORTH_END - 5.0, self.cyclist_speed)
        clusters = [
            (build_petals(mesh, rng), x * 0.7 + dx, y + dy)
            for x, y in _TREES
            for dx, dy in ((-0.6, -0.8), (0.5, 0.9))
        ]
        return [rider, FallingPetals(clusters)]


def _hung(strings: Sequence[tuple[int, float, float, float, float]]) -> list[SceneEffect]:
    return [SwingingStrings(strings, swing=0.0)]
