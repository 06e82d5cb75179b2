"""Kinematics and collision of the body: walking, turning, jumping, sliding along solids."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.worlds.embedded.fixed_timestep import TIMESTEP
from agent.worlds.embedded.inputs import MoveCommand
from agent.worlds.embedded.render.jit import jit

WALK_SPEED, RUN_SPEED = 2.0, 4.0
"""m/s."""
TURN_SPEED = math.radians(120.0)
"""rad/s."""
JUMP_SPEED = 3.0
GRAVITY = 9.81
EYE_HEIGHT = 1.6
"""Of the camera above the feet, metres."""
RADIUS = 0.3
"""Of the body, an upright cylinder, metres. A step is shorter, so the body cannot tunnel."""
TOLERANCE = 1e-3
"""Depth of a solid, metres, to which rounding may leave the body."""
_MAX_PUSHES = 6
"""Push-outs before a move is given up; a corner of two solids needs two."""

Boxes = NDArray[np.float64]
"""(N, 4): x0, y0, x1, y1."""


@dataclass
class Body:
    """Pose and motion of the body in world coordinates (x east, y north, z up), metres."""

    x: float
    y: float
    heading: float
    """Radians from +y, positive to the right, -pi to pi."""
    z: float = 0.0
    """Height of the feet."""
    velocity: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Actual velocity in the last step, m/s."""
    angular_velocity: float = 0.0
    """rad/s, positive to the right."""
    grounded: bool = True
    collided: bool = False
    """Whether a solid stopped it in the last step."""


@jit
def _push_out(x: float, y: float, solids: Boxes, bounds: Boxes) -> tuple[float, float, bool]:
    """Push the circle out of every box and into the bounds; return whether it touched one."""
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


@jit
def is_clear(x: float, y: float, solids: Boxes, bounds: Boxes) -> bool:
    """Return whether a body at (x, y) overlaps no solid and is within the bounds."""
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


@jit
def move_and_slide(
    x: float, y: float, dx: float, dy: float, solids: Boxes, bounds: Boxes
) -> tuple[float, float, bool]:
    """Move from a clear position by (dx, dy), sliding along solids.

    Args:
        x: position.
        y: position.
        dx: requested move, shorter than RADIUS.
        dy: requested move.
        solids: (N, 4), boxes that stop the body.
        bounds: (1, 4), the box that contains it.

    Returns:
        The new position, clear and at most the requested distance away, and whether it collided.
    """
    new_x, new_y = x + dx, y + dy
    requested = math.sqrt(dx * dx + dy * dy)
    collided = False
    for _ in range(_MAX_PUSHES):
        new_x, new_y, touched = _push_out(new_x, new_y, solids, bounds)
        if not touched:
            break
        collided = True
        length = math.sqrt((new_x - x) ** 2 + (new_y - y) ** 2)
        if length > requested:
            # A push around a corner must not add speed.
            new_x, new_y = (
                x + (new_x - x) * requested / length,
                y + (new_y - y) * requested / length,
            )
    if collided and not is_clear(new_x, new_y, solids, bounds):
        return x, y, True
    return new_x, new_y, collided


def step_body(body: Body, command: MoveCommand, solids: Boxes, bounds: Boxes) -> None:
    """Take one physics step; diagonal movement is no faster than straight movement."""
    turned = command.turn * TURN_SPEED * TIMESTEP
    body.heading = math.remainder(body.heading + turned, math.tau)
    body.angular_velocity = turned / TIMESTEP
    speed = RUN_SPEED if command.run else WALK_SPEED
    pace = speed * TIMESTEP / max(1.0, math.hypot(command.forward, command.right))
    sine, cosine = math.sin(body.heading), math.cos(body.heading)
    dx = (sine * command.forward + cosine * command.right) * pace
    dy = (cosine * command.forward - sine * command.right) * pace
    before = body.x, body.y, body.z
    body.x, body.y, body.collided = move_and_slide(body.x, body.y, dx, dy, solids, bounds)
    _jump_and_fall(body, command.jump)
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
