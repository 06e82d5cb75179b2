"""Triangle meshes from primitives (quads, boxes, lathes, wires, foliage), with baked light.

x is right (east), y is forward (north), z is up, metres. Corners run counter-clockwise as seen from
the visible side.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Point = tuple[float, float, float]
Corners = tuple[Point, Point, Point, Point]
TextureCorners = tuple[
    tuple[float, float], tuple[float, float], tuple[float, float], tuple[float, float]
]
Light = float | tuple[float, float, float, float] | None
"""One value, one per corner, or None: diffuse sunlight."""
Box = tuple[float, float, float, float]
"""x0, y0, x1, y1 on the ground."""

STATIC = 0
"""The part that never moves."""
NO_PANEL = -1
_SUN = np.array([-0.55, -0.35, 0.75]) / np.linalg.norm([-0.55, -0.35, 0.75])
_AMBIENT, _DIRECT = 0.62, 0.5
_DIRT_HEIGHT, _DIRT = 1.2, 0.28
"""Walls darken towards the ground: the height where that starts, and the share that is lost."""


def tile_uv(columns: float = 1.0, rows: float = 1.0) -> TextureCorners:
    """Return texture coordinates that repeat an upright texture."""
    return ((0.0, rows), (columns, rows), (columns, 0.0), (0.0, 0.0))


def sunlight(normal: Sequence[float] | NDArray[np.float64]) -> float:
    """Return ambient plus Lambertian light on a surface with this outward normal (any length)."""
    vector = np.asarray(normal, float)
    return _AMBIENT + _DIRECT * max(0.0, float(vector @ _SUN) / float(np.linalg.norm(vector)))


@dataclass
class Triangles:
    """All triangles so far, one entry each."""

    vertices: list[list[tuple[float, float, float, float, float, float]]] = field(
        default_factory=list
    )
    textures: list[int] = field(default_factory=list)
    fogs: list[float] = field(default_factory=list)
    panels: list[int] = field(default_factory=list)
    parts: list[int] = field(default_factory=list)


class Mesh:
    """The triangles and colliders of a scene.

    Attributes:
        triangles: to render.
        texture_names: names in the order of the ids in `triangles.textures`.
        solids: colliders, boxes on the ground plane.
        part_count: number of parts with their own pose, the static one included.
        panel_count: number of surfaces that can change their texture.
    """

    def __init__(self) -> None:
        self.triangles = Triangles()
        self.texture_names: list[str] = []
        self.solids: list[Box] = []
        self.part_count = 1
        self.panel_count = 0
        self._ids: dict[str, int] = {}
        self._part = STATIC
        self._origin = (0.0, 0.0, 0.0)
        self._turn = (1.0, 0.0)

    def current_frame(self) -> tuple[float, float, float, float]:
        """Return the current coordinate frame: x, y, z and its turn to the left, radians."""
        return (*self._origin, math.atan2(self._turn[1], self._turn[0]))

    @contextmanager
    def at(self, x: float, y: float, z: float = 0.0, turn: float = 0.0) -> Iterator[None]:
        """Use a coordinate frame at (x, y, z), turned left by `turn` radians; frames nest."""
        before = self._origin, self._turn
        cosine, sine = self._turn
        self._origin = self._world((x, y, z))
        self._turn = (
            cosine * math.cos(turn) - sine * math.sin(turn),
            sine * math.cos(turn) + cosine * math.sin(turn),
        )
        try:
            yield
        finally:
            self._origin, self._turn = before

    @contextmanager
    def part(self) -> Iterator[int]:
        """Add the following geometry to a new moving part, in its own coordinates; yield its id."""
        before = self._part, self._origin, self._turn
        self._part, self._origin, self._turn = self.part_count, (0.0, 0.0, 0.0), (1.0, 0.0)
        self.part_count += 1
        try:
            yield self._part
        finally:
            self._part, self._origin, self._turn = before

    def panel(self) -> int:
        """Return the id of a new panel, a surface whose texture can change."""
        self.panel_count += 1
        return self.panel_count - 1

    def texture(self, name: str) -> int:
        """Return the id of a texture, adding it if it is new."""
        if name not in self._ids:
            self._ids[name] = len(self.texture_names)
            self.texture_names.append(name)
        return self._ids[name]

    def _world(self, point: Sequence[float]) -> Point:
        cosine, sine = self._turn
        x, y, z = point
        return (
            self._origin[0] + cosine * x - sine * y,
            self._origin[1] + sine * x + cosine * y,
            self._origin[2] + z,
        )

    def _lights(self, corners: Corners, light: Light) -> Sequence[float]:
        """Return the light at each corner; sunlit walls darken towards the ground."""
        if isinstance(light, tuple):
            return light
        if light is not None:
            return (light,) * 4
        a, b, _, d = (np.array(corner) for corner in corners)
        normal = np.cross(b - a, d - a)
        length = float(np.linalg.norm(normal))
        if length == 0.0:
            normal = np.cross(np.array(corners[2]) - b, a - b)
        strength = sunlight(normal)
        if abs(normal[2]) > 0.7 * length:
            return (strength,) * 4
        return [
            strength * (1.0 - _DIRT + _DIRT * min(1.0, corner[2] / _DIRT_HEIGHT))
            for corner in corners
        ]

    def quad(
        self,
        corners: Corners,
        texture: str,
        light: Light = None,
        uv: TextureCorners | None = None,
        *,
        fog: float = 1.0,
        two_sided: bool = False,
        panel: int = NO_PANEL,
    ) -> None:
        """Add a quadrilateral; equal neighbouring corners make it a triangle."""
        world = tuple(self._world(corner) for corner in corners)
        assert len(world) == 4
        lights = self._lights(world, light)
        texture_corners = uv or tile_uv()
        points = [
            (*world[k], *texture_corners[k], float(lights[k]))  # x, y, z, u, v, light
            for k in range(4)
        ]
        for i, j, k in ((0, 1, 2), (0, 2, 3)):
            if world[i] != world[j] and world[j] != world[k] and world[k] != world[i]:
                self._triangle([points[i], points[j], points[k]], texture, fog, panel)
                if two_sided:
                    self._triangle([points[i], points[k], points[j]], texture, fog, panel)

    def _triangle(
        self,
        points: list[tuple[float, float, float, float, float, float]],
        texture: str,
        fog: float,
        panel: int,
    ) -> None:
        self.triangles.vertices.append(points)
        self.triangles.textures.append(self.texture(texture))
        self.triangles.fogs.append(fog)
        self.triangles.panels.append(panel)
        self.triangles.parts.append(self._part)

    def slope(
        self, x0: float, x1: float, low: tuple[float, float], high: tuple[float, float],
        texture: str, light: Light = None, uv: TextureCorners | None = None,
        *, two_sided: bool = False,
    ) -> None:  # fmt: skip
        """Add a rectangle from x0 to x1; `low` and `high` are y and z of its two long edges."""
        (y0, z0), (y1, z1) = low, high
        corners = ((x0, y0, z0), (x1, y0, z0), (x1, y1, z1), (x0, y1, z1))
        self.quad(corners, texture, light, uv, two_sided=two_sided)

    def wall(
        self, x0: float, x1: float, z0: float, z1: float, texture: str, light: Light = None,
        *, y: float = 0.0, uv: TextureCorners | None = None, two_sided: bool = False,
    ) -> None:  # fmt: skip
        """Add an upright rectangle at depth y that faces -y."""
        self.slope(x0, x1, (y, z0), (y, z1), texture, light, uv, two_sided=two_sided)

    def floor(
        self, x0: float, y0: float, x1: float, y1: float, z: float, texture: str,
        light: Light = None, *, uv: TextureCorners | None = None,
    ) -> None:  # fmt: skip
        """Add a level rectangle that faces up."""
        self.slope(x0, x1, (y0, z), (y1, z), texture, light, uv)

    def box(
        self,
        centre: Point,
        size: Point,
        texture: str | Mapping[str, str],
        faces: str = "xXyYZ",
        light: Light = None,
        repeat: tuple[float, float] = (1.0, 1.0),
    ) -> None:
        """Add a box.

        Args:
            centre: of the box.
            size: along x, y and z.
            texture: one for all faces, or one per face with "*" for the others.
            faces: to add: x y z face the negative direction, X Y Z the positive.
            light: as for `quad`.
            repeat: texture repeats across and up.
        """
        x0, y0, z0 = (c - s / 2 for c, s in zip(centre, size, strict=True))
        x1, y1, z1 = (c + s / 2 for c, s in zip(centre, size, strict=True))
        outlines: dict[str, Corners] = {
            "y": ((x0, y0, z0), (x1, y0, z0), (x1, y0, z1), (x0, y0, z1)),
            "Y": ((x1, y1, z0), (x0, y1, z0), (x0, y1, z1), (x1, y1, z1)),
            "x": ((x0, y1, z0), (x0, y0, z0), (x0, y0, z1), (x0, y1, z1)),
            "X": ((x1, y0, z0), (x1, y1, z0), (x1, y1, z1), (x1, y0, z1)),
            "Z": ((x0, y0, z1), (x1, y0, z1), (x1, y1, z1), (x0, y1, z1)),
            "z": ((x0, y1, z0), (x1, y1, z0), (x1, y0, z0), (x0, y0, z0)),
        }
        for face in faces:
            name = texture if isinstance(texture, str) else texture.get(face, texture.get("*", ""))
            self.quad(outlines[face], name, light, tile_uv(*repeat))

    def lathe(
        self,
        x: float,
        y: float,
        profile: Sequence[tuple[float, float]],
        sides: int,
        texture: str,
        light: Light = None,
        repeat: float = 1.0,
    ) -> None:
        """Revolve a profile of (radius, height), bottom first, around a vertical axis."""
        bottom, top = profile[0][1], profile[-1][1]
        for (r0, z0), (r1, z1) in pairwise(profile):
            v0 = repeat * (top - z0) / (top - bottom)
            v1 = repeat * (top - z1) / (top - bottom)
            for side in range(sides):
                u0, u1 = side / sides, (side + 1) / sides
                a0, a1 = math.tau * u0, math.tau * u1
                (c0, s0), (c1, s1) = ((math.cos(a), math.sin(a)) for a in (a0, a1))
                glow = light * (0.9 - 0.075 * c0) if isinstance(light, float) else light
                self.quad(
                    (
                        (x + r0 * c0, y + r0 * s0, z0),
                        (x + r0 * c1, y + r0 * s1, z0),
                        (x + r1 * c1, y + r1 * s1, z1),
                        (x + r1 * c0, y + r1 * s0, z1),
                    ),
                    texture,
                    glow,
                    ((u0, v0), (u1, v0), (u1, v1), (u0, v1)),
                )

    def cylinder(
        self, x: float, y: float, z0: float, z1: float, radius: float, sides: int, texture: str,
        *, top_radius: float | None = None, light: Light = None, repeat: float = 1.0,
    ) -> None:  # fmt: skip
        """Add a vertical cylinder or cone without caps."""
        top = radius if top_radius is None else top_radius
        self.lathe(x, y, [(radius, z0), (top, z1)], sides, texture, light, repeat)

    def wire(
        self, start: Point, end: Point, sag: float = 0.5, pieces: int = 5, thickness: float = 0.06
    ) -> None:
        """Add a black wire between two points."""
        a, b = np.array(start), np.array(end)
        shares = np.linspace(0.0, 1.0, pieces + 1)
        points = [a + (b - a) * t - np.array([0, 0, 4 * sag * t * (1 - t)]) for t in shares]
        half = np.array([0.0, 0.0, thickness / 2])
        for p, q in pairwise(points):
            corners = tuple(tuple(map(float, c)) for c in (p - half, q - half, q + half, p + half))
            self.quad(corners, "black", 0.5, two_sided=True)  # type: ignore[arg-type]

    def foliage(
        self, x: float, y: float, z: float, radius: float, texture: str, light: float = 1.0,
        turn: float = 0.0, upright: int = 2,
    ) -> None:  # fmt: skip
        """Add crossed billboards and a level one: a ball of leaves."""
        below, above = light * 0.82, light * 1.06
        for k in range(upright):
            angle = turn + math.pi * k / upright
            dx, dy = math.cos(angle) * radius, math.sin(angle) * radius
            low, high = z - radius, z + radius
            self.quad(
                (
                    (x - dx, y - dy, low),
                    (x + dx, y + dy, low),
                    (x + dx, y + dy, high),
                    (x - dx, y - dy, high),
                ),
                texture,
                (below, below, above, above),
                two_sided=True,
            )
        south, north = (y - radius, z), (y + radius, z)
        self.slope(x - radius, x + radius, south, north, texture, light * 0.95, two_sided=True)

    def solid(self, x0: float, y0: float, x1: float, y1: float) -> int:
        """Add a collider (frames may turn by quarter turns only); return its number."""
        (ax, ay, _), (bx, by, _) = self._world((x0, y0, 0.0)), self._world((x1, y1, 0.0))
        self.solids.append((min(ax, bx), min(ay, by), max(ax, bx), max(ay, by)))
        return len(self.solids) - 1
