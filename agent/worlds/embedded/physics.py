"""A body that walks, turns, jumps and cannot pass through anything."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.worlds.embedded.fixed_timestep import TIMESTEP
from agent.worlds.embedded.inputs import Wish
from agent.worlds.embedded.render.jit import compiled

WALK_SPEED, RUN_SPEED = 2.0, 4.0
TURN_SPEED = math.radians(120.0)
JUMP_SPEED = 3.0
GRAVITY = 9.81
EYE_HEIGHT = 1.6
RADIUS = 0.3
"""The body is an upright cylinder. It moves less than this in a step, so it cannot tunnel."""
TOLERANCE = 1e-3
"""How far into a solid, in metres, rounding may leave the body."""
_ROUNDS = 6
"""Push-outs before a move is given up; two solids that form a corner need two."""

Boxes = NDArray[np.float64]
"""(N, 4): x0, y0, x1, y1."""


@dataclass
class Body:
    """Where the body is and how it moves, in world coordinates (x right, y forward, z up)."""

    x: float
    y: float
    heading: float
    """Radians from +y, positive to the right, in -pi to pi."""
    z: float = 0.0
    """Height of the feet."""
    velocity: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """What it really covered in the last step, metres a second."""
    angular_velocity: float = 0.0
    """Radians a second, positive to the right."""
    grounded: bool = True
    collided: bool = False
    """Whether something stopped it in the last step."""


@compiled
def _push_out(x: float, y: float, solids: Boxes, bounds: Boxes) -> tuple[float, float, bool]:
    """Move the circle out of every box in turn and into the bounds; tell whether it touched."""
    touched = False
    inside_x = min(max(x, bounds[0, 0] + RADIUS), bounds[0, 2] - RADIUS)
    inside_y = min(max(y, bounds[0, 1] + RADIUS), bounds[0, 3] - RADIUS)
    if inside_x != x or inside_y != y:
        x, y, touched = inside_x, inside_y, True
    for box in solids:
        dx = x - min(max(x, box[0]), box[2])
        dy = y - min(max(y, box[1]), box[3])
        distance = math.sqrt(dx * dx + dy * dy)
        if 0.0 < distance < RADIUS:
            push = (RADIUS - distance) / distance
            x, y, touched = x + dx * push, y + dy * push, True
    return x, y, touched


@compiled
def is_clear(x: float, y: float, solids: Boxes, bounds: Boxes) -> bool:
    """Tell whether a body may stand here."""
    reach = RADIUS - TOLERANCE
    if x < bounds[0, 0] + reach or x > bounds[0, 2] - reach:
        return False
    if y < bounds[0, 1] + reach or y > bounds[0, 3] - reach:
        return False
    for box in solids:
        dx = x - min(max(x, box[0]), box[2])
        dy = y - min(max(y, box[1]), box[3])
        if dx * dx + dy * dy < reach * reach:
            return False
    return True


@compiled
def slide(
    x: float, y: float, dx: float, dy: float, solids: Boxes, bounds: Boxes
) -> tuple[float, float, bool]:
    """Move from a clear place by (dx, dy), sliding along what is in the way.

    Args:
        x: where the body stands.
        y: where the body stands.
        dx: wanted move, shorter than RADIUS.
        dy: wanted move.
        solids: boxes that stop it.
        bounds: (1, 4), the box it stays in.

    Returns:
        The new place, always clear and never farther away than wanted, and whether it collided.
    """
    new_x, new_y = x + dx, y + dy
    wanted = math.sqrt(dx * dx + dy * dy)
    collided = False
    for _ in range(_ROUNDS):
        new_x, new_y, touched = _push_out(new_x, new_y, solids, bounds)
        if not touched:
            break
        collided = True
        length = math.sqrt((new_x - x) ** 2 + (new_y - y) ** 2)
        if length > wanted:
            # Being pushed round a corner may not add speed.
            new_x, new_y = x + (new_x - x) * wanted / length, y + (new_y - y) * wanted / length
    if collided and not is_clear(new_x, new_y, solids, bounds):
        return x, y, True
    return new_x, new_y, collided


def advance(body: Body, wish: Wish, solids: Boxes, bounds: Boxes) -> None:
    """Take one physics step.

    The wanted direction is cut to length 1, so that walking obliquely is no faster.
    """
    turned = wish.turn * TURN_SPEED * TIMESTEP
    body.heading = math.remainder(body.heading + turned, math.tau)
    body.angular_velocity = turned / TIMESTEP
    speed = RUN_SPEED if wish.run else WALK_SPEED
    pace = speed * TIMESTEP / max(1.0, math.hypot(wish.forward, wish.right))
    sine, cosine = math.sin(body.heading), math.cos(body.heading)
    dx = (sine * wish.forward + cosine * wish.right) * pace
    dy = (cosine * wish.forward - sine * wish.right) * pace
    before = body.x, body.y, body.z
    body.x, body.y, body.collided = slide(body.x, body.y, dx, dy, solids, bounds)
    _jump_and_fall(body, wish.jump)
    vertical = body.velocity[2] if not body.grounded else 0.0
    body.velocity = ((body.x - before[0]) / TIMESTEP, (body.y - before[1]) / TIMESTEP, vertical)


def _jump_and_fall(body: Body, jump: bool) -> None:
    vertical = body.velocity[2]
    if jump and body.grounded:
        body.grounded = False
        vertical = JUMP_SPEED
    if not body.grounded:
        vertical -= GRAVITY * TIMESTEP
        body.z += vertical * TIMESTEP
        if body.z <= 0.0:
            body.z, vertical, body.grounded = 0.0, 0.0, True
    body.velocity = (body.velocity[0], body.velocity[1], vertical)
