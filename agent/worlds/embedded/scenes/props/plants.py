"""Trees."""

from __future__ import annotations

import math
import random

from agent.worlds.embedded.render.mesh import Mesh

BLOSSOM = ("sakura", "sakura2")
GREEN = ("leaf", "leaf2")


def tree(
    mesh: Mesh, x: float, y: float, size: float = 1.0, leaves: tuple[str, str] = BLOSSOM
) -> None:
    """Build a tree, seeded by its position; the trunk is solid."""
    rng = random.Random(int(x * 31 + y * 17))
    mesh.cylinder(x, y, 0.0, 1.9 * size, 0.17 * size, 6, "bark", top_radius=0.11 * size, repeat=2)
    for number in range(9):
        angle, distance = rng.random() * math.tau, rng.random() * 1.25 * size
        mesh.foliage(
            x + math.cos(angle) * distance,
            y + math.sin(angle) * distance,
            (2.5 + rng.random() * 1.5) * size,
            (0.85 + 0.35 * rng.random()) * size,
            leaves[number % 2],
            1.12 if leaves == BLOSSOM else 1.0,
            rng.random() * 3,
        )
    mesh.solid(x - 0.2, y - 0.2, x + 0.2, y + 0.2)
