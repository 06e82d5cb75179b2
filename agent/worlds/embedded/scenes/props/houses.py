"""Houses side by side: facade from x = 0 to the right, street on the -y side, depth behind."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

from agent.worlds.embedded.render.mesh import Mesh, tile_uv
from agent.worlds.embedded.scenes.props.storefront import dress
from agent.worlds.embedded.scenes.textures.windows import STYLES

DEPTH = 7.0
GROUND_FLOOR, UPPER_FLOOR = 2.9, 2.7
_DADO = 1.0
"""Height of the boards along a side wall."""
_OVERHANG = 0.55
_RIDGE = 1.7
_SHOP_GLOW = 1.04
_WIDTHS = (4.2, 4.8, 5.4, 6.0)
_GAPS = (0.12, 0.12, 0.3)
_TILED = ("u0", "u1", "u5")
"""Upper floors that go with a tiled eave."""


@dataclass(frozen=True)
class Business:
    """The textures of a ground floor."""

    facade: str
    noren: str | None = None
    sign: str | None = None
    awning: str | None = None

    @property
    def is_shop(self) -> bool:
        """Whether it is lit from inside."""
        return self.facade not in ("f_house", "f_shutter")


SHOPS = (
    Business("f_lattice", "n_sushi", "s_sushi"),
    Business("f_ramen", "n_ramen", "s_ramen", "awning"),
    Business("f_conbini"),
    Business("f_yaoya", None, "s_fish", "awning"),
    Business("f_books", None, "s_book"),
    Business("f_lattice", "n_soba", "s_soba"),
    Business("f_cafe", None, "s_bread", "awning2"),
    Business("f_shutter", None, "s_sake"),
    Business("f_house"),
    Business("f_lattice", "n_yu", "s_yu"),
    Business("f_flowers", None, "s_flower", "awning2"),
    Business("f_books", None, "s_rice"),
    Business("f_ramen", "n_soba", "s_meat", "awning"),
)
TAVERNS = (
    Business("f_lattice", "n_soba", "s_soba"),
    Business("f_lattice", "n_sushi", "s_sake"),
    Business("f_house"),
    Business("f_lattice", "n_ramen", "s_ramen"),
    Business("f_cafe", None, "s_tea"),
    Business("f_lattice", "n_tea", "s_tea"),
)


def row(
    mesh: Mesh,
    rng: random.Random,
    length: float,
    businesses: Sequence[Business],
    *,
    furniture: bool = True,
) -> None:
    """Fill a stretch of street from x = 0 to `length` with houses, which are solid."""
    mesh.solid(0.0, 0.0, length, DEPTH)
    x, number = 0.0, rng.randrange(len(businesses))
    while x < length - 1.0:
        width = min(rng.choice(_WIDTHS), length - x)
        if length - x - width < min(_WIDTHS):
            width = min(width, (length - x) / 2) if length - x > 8.4 else length - x
        with mesh.at(x, 0.0):
            house(mesh, rng, width, businesses[number % len(businesses)], furniture=furniture)
        number += 1 if rng.random() < 0.8 else 2
        x += width + rng.choice(_GAPS)


def house(
    mesh: Mesh, rng: random.Random, width: float, business: Business, *, furniture: bool
) -> None:
    """Build one house with a business on the ground floor."""
    floors = rng.choice((2, 2, 2, 3, 3, 4))
    style = rng.choice(sorted(STYLES))
    height = GROUND_FLOOR + (floors - 1) * UPPER_FLOOR
    glow = _SHOP_GLOW
    light = (0.86 * glow, 0.86 * glow, glow, glow) if business.is_shop else None
    mesh.wall(0.0, width, 0.0, GROUND_FLOOR, business.facade, light)
    upper_storeys(mesh, rng, width, floors, style)
    eave(mesh, width, business.awning, style)
    dress(
        mesh, rng, width, height, business.noren, business.sign,
        furniture=furniture, awning=business.awning is not None,
    )  # fmt: skip


def upper_storeys(mesh: Mesh, rng: random.Random, width: float, floors: int, style: str) -> None:
    """Build everything above the ground floor's front: upper fronts, sides, roof."""
    height = GROUND_FLOOR + (floors - 1) * UPPER_FLOOR
    for floor in range(1, floors):
        z = GROUND_FLOOR + (floor - 1) * UPPER_FLOOR
        mesh.wall(0.0, width, z, z + UPPER_FLOOR, style)
    side = STYLES[style][2]
    back = (width / 2, DEPTH / 2, height / 2)
    mesh.box(back, (width, DEPTH, height), side, "Y", repeat=(3, 3))
    for x, turn in ((0.0, -math.pi / 2), (width, math.pi / 2)):
        with mesh.at(x, DEPTH if turn < 0.0 else 0.0, turn=turn):
            _side(mesh, floors, style, side)
    if floors == 2 or (floors == 3 and rng.random() < 0.4):
        _gable_roof(mesh, width, height, side)
    else:
        _flat_roof(mesh, width, height, tank=rng.random() < 0.6)


def _side(mesh: Mesh, floors: int, style: str, side: str) -> None:
    """Build a side wall, seen in gaps and alleys: boards below, windows above."""
    mesh.wall(0.0, DEPTH, 0.0, _DADO, "wood", uv=tile_uv(4.0, 0.5))
    mesh.wall(0.0, DEPTH, _DADO, GROUND_FLOOR, side, uv=tile_uv(3.0, 1.0))
    for floor in range(1, floors):
        z = GROUND_FLOOR + (floor - 1) * UPPER_FLOOR
        mesh.wall(0.0, DEPTH, z, z + UPPER_FLOOR, style, uv=tile_uv(1.5, 1.0))


def _gable_roof(mesh: Mesh, width: float, height: float, side: str) -> None:
    left, right, low, ridge = -0.15, width + 0.15, height - 0.12, height + _RIDGE
    front, middle = -_OVERHANG, DEPTH / 2
    tiles = tile_uv(3.0, 2.0)
    mesh.slope(left, right, (front, low), (middle, ridge), "kawara", uv=tiles)
    mesh.slope(right, left, (DEPTH, low), (middle, ridge), "kawara", uv=tiles)
    top = ridge - 0.1
    for x, y0, y1 in ((0.0, DEPTH, 0.0), (width, 0.0, DEPTH)):
        mesh.quad(((x, y0, height), (x, y1, height), (x, middle, top), (x, middle, top)), side)
    mesh.slope(left, right, (0.0, low), (front, low), "wood", 0.45)


def _flat_roof(mesh: Mesh, width: float, height: float, *, tank: bool) -> None:
    mesh.box((width / 2, DEPTH / 2, height + 0.25), (width, DEPTH + 0.2, 0.5), "concrete", "xXyYZ")
    if tank:
        mesh.cylinder(width / 2, 2.0, height + 0.5, height + 2.0, 0.7, 8, "metal")


def eave(mesh: Mesh, width: float, awning: str | None, style: str) -> None:
    """Build the small roof over the ground floor, or the awning instead of it."""
    reach = 0.95 if awning else 0.7
    texture = awning or ("kawara" if style in _TILED else "dark")
    left, right, low, high = 0.1, width - 0.1, 2.55, 2.95
    mesh.slope(left, right, (-reach, low), (0.0, high), texture, uv=tile_uv(3.0))
    mesh.slope(right, left, (-reach, low), (0.0, high), "dark", 0.5)
