"""The gate, the stone lanterns and the hall of a shrine; the gate stands at y = 0."""

from __future__ import annotations

from agent.worlds.embedded.render.mesh import Mesh, tile_uv


def gate(mesh: Mesh) -> None:
    """Build a torii across the way, seen from -y."""
    for x in (-2.3, 2.3):
        mesh.cylinder(x, 0.0, 0.3, 5.0, 0.26, 10, "verm", top_radius=0.21)
        mesh.cylinder(x, 0.0, 0.0, 0.5, 0.36, 10, "black")
        mesh.solid(x - 0.35, -0.4, x + 0.35, 0.4)
    mesh.box((0.0, 0.0, 4.1), (5.6, 0.26, 0.32), "verm", "xXyYzZ")
    plaque = {"y": "s_shrine", "Y": "s_shrine", "*": "black"}
    mesh.box((0.0, 0.0, 4.62), (0.5, 0.16, 0.75), plaque, light=1.05)
    for piece in range(6):
        x0 = -3.5 + piece * 7 / 6
        _lintel(mesh, x0, x0 + 7 / 6)


def _lintel(mesh: Mesh, x0: float, x1: float) -> None:
    """Build a piece of the curved beam."""
    low0, low1 = (5.0 + 0.035 * x * x for x in (x0, x1))
    for z0, z1, texture in ((0.0, 0.34, "verm"), (0.34, 0.52, "black")):
        front = (
            (x0, -0.25, low0 + z0), (x1, -0.25, low1 + z0),
            (x1, -0.25, low1 + z1), (x0, -0.25, low0 + z1),
        )  # fmt: skip
        back = tuple((x, 0.25, z) for x, _, z in (front[1], front[0], front[3], front[2]))
        mesh.quad(front, texture, 0.95)
        mesh.quad(back, texture, 0.75)  # type: ignore[arg-type]
    mesh.quad(
        ((x0, -0.4, low0 + 0.52), (x1, -0.4, low1 + 0.52),
         (x1, 0.4, low1 + 0.56), (x0, 0.4, low0 + 0.56)),
        "black", 1.3,
    )  # fmt: skip
    mesh.quad(
        ((x0, 0.25, low0), (x1, 0.25, low1), (x1, -0.25, low1), (x0, -0.25, low0)), "verm", 0.5
    )


def stone_lantern(mesh: Mesh, x: float, y: float) -> None:
    """Stand a lantern of stone."""
    mesh.cylinder(x, y, 0.0, 0.4, 0.4, 8, "stone", top_radius=0.3)
    mesh.cylinder(x, y, 0.4, 1.4, 0.14, 8, "stone")
    mesh.box((x, y, 1.65), (0.5, 0.5, 0.45), "lan_white", light=1.1)
    mesh.cylinder(x, y, 1.88, 2.2, 0.5, 6, "stone", top_radius=0.08)
    mesh.solid(x - 0.3, y - 0.3, x + 0.3, y + 0.3)


def hall(mesh: Mesh, y: float) -> None:
    """Build the hall behind its steps; they are solid."""
    for step in range(4):
        height = 0.2 + step * 0.2
        mesh.box((0.0, y + step * 0.5, height / 2), (5.0, 0.5, height), "stone")
    mesh.box((0.0, y + 5.5, 0.35), (9.0, 7.0, 0.7), "stone", repeat=(4, 1))
    mesh.box((0.0, y + 6.0, 2.2), (6.0, 4.0, 3.0), {"y": "f_lattice", "*": "wood"}, "xXyY")
    mesh.box((0.0, y + 3.9, 3.5), (6.2, 0.2, 0.3), "verm", "xXyYz")
    for x in (-2.9, -1.0, 1.0, 2.9):
        mesh.cylinder(x, y + 3.8, 0.7, 3.6, 0.12, 8, "verm")
    _hip_roof(mesh, y)
    mesh.box((0.0, y + 3.2, 0.95), (1.4, 0.6, 0.5), {"y": "wood", "*": "boards"})
    mesh.solid(-4.5, y, 4.5, y + 9.0)


def _hip_roof(mesh: Mesh, y: float) -> None:
    low, top = 3.5, 6.2
    front, back, middle = y + 2.7, y + 9.5, y + 6.0
    outer, inner = 4.4, 3.2
    corners = ((-outer, front), (outer, front), (outer, back), (-outer, back))
    ridge_ends = ((inner, -inner), (inner, inner), (-inner, inner), (-inner, -inner))
    for side, (right, left) in enumerate(ridge_ends):
        (xa, ya), (xb, yb) = corners[side], corners[(side + 1) % 4]
        mesh.quad(
            ((xa, ya, low), (xb, yb, low), (right, middle, top), (left, middle, top)),
            "kawara", uv=tile_uv(4.0, 2.0),
        )  # fmt: skip
    mesh.slope(-outer, outer, (back, low), (front, low), "wood", 0.45)
