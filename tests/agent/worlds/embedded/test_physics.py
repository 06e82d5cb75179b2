from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.worlds.embedded.fixed_timestep import TIMESTEP
from agent.worlds.embedded.inputs import MoveCommand
from agent.worlds.embedded.physics import (
    GRAVITY,
    JUMP_SPEED,
    RADIUS,
    RUN_SPEED,
    TURN_SPEED,
    WALK_SPEED,
    Body,
    is_clear,
    step_body,
)

BOUNDS = np.array([[-10.0, -10.0, 10.0, 10.0]])
NOTHING = np.zeros((0, 4))
STILL = MoveCommand(0.0, 0.0, 0.0, run=False, jump=False)


def command(
    forward: float = 0.0, right: float = 0.0, turn: float = 0.0, **more: bool
) -> MoveCommand:
    return MoveCommand(
        forward, right, turn, run=more.get("run", False), jump=more.get("jump", False)
    )


def speed(body: Body) -> float:
    return math.hypot(body.velocity[0], body.velocity[1])


def test_forward_is_plus_y_and_right_is_plus_x() -> None:
    body = Body(0.0, 0.0, 0.0)
    step_body(body, command(forward=1.0), NOTHING, BOUNDS)
    assert (body.x, body.y) == pytest.approx((0.0, WALK_SPEED * TIMESTEP))
    body = Body(0.0, 0.0, 0.0)
    step_body(body, command(right=1.0), NOTHING, BOUNDS)
    assert (body.x, body.y) == pytest.approx((WALK_SPEED * TIMESTEP, 0.0))


def test_positive_turn_is_to_the_right() -> None:
    body = Body(0.0, 0.0, 0.0)
    for _ in range(round(math.radians(90) / TURN_SPEED / TIMESTEP)):
        step_body(body, command(turn=1.0), NOTHING, BOUNDS)
    assert math.degrees(body.heading) == pytest.approx(90.0, abs=4.0)
    before = body.x
    step_body(body, command(forward=1.0), NOTHING, BOUNDS)
    assert body.x > before


def test_running_doubles_the_speed() -> None:
    body = Body(0.0, 0.0, 0.3)
    step_body(body, command(forward=1.0), NOTHING, BOUNDS)
    assert speed(body) == pytest.approx(WALK_SPEED)
    step_body(body, command(forward=1.0, run=True), NOTHING, BOUNDS)
    assert speed(body) == pytest.approx(RUN_SPEED)


def test_diagonal_walking_is_no_faster() -> None:
    body = Body(0.0, 0.0, 0.0)
    step_body(body, command(forward=1.0, right=-1.0), NOTHING, BOUNDS)
    assert speed(body) == pytest.approx(WALK_SPEED)


def test_jump_rises_and_lands() -> None:
    body = Body(0.0, 0.0, 0.0)
    step_body(body, command(jump=True), NOTHING, BOUNDS)
    assert not body.grounded and body.z > 0.0
    heights = []
    while not body.grounded:
        step_body(body, STILL, NOTHING, BOUNDS)
        heights.append(body.z)
    assert max(heights) == pytest.approx(JUMP_SPEED**2 / (2 * GRAVITY), abs=0.06)
    assert body.z == 0.0 and body.velocity[2] == 0.0
    assert len(heights) * TIMESTEP == pytest.approx(2 * JUMP_SPEED / GRAVITY, abs=0.05)


def test_wall_stops_the_body_and_lets_it_slide() -> None:
    wall = np.array([[-5.0, 1.0, 5.0, 1.1]])
    body = Body(0.0, 0.0, math.radians(45))
    for _ in range(45):
        step_body(body, command(forward=1.0, run=True), wall, BOUNDS)
    assert body.collided
    assert body.y == pytest.approx(1.0 - RADIUS, abs=2e-3)
    assert body.x > 3.0


def test_bounds_contain_the_body() -> None:
    body = Body(9.0, 9.0, math.radians(45))
    for _ in range(60):
        step_body(body, command(forward=1.0, run=True), NOTHING, BOUNDS)
    assert (body.x, body.y) == pytest.approx((10.0 - RADIUS, 10.0 - RADIUS))


boxes = st.lists(
    st.tuples(st.floats(-9, 9), st.floats(-9, 9), st.floats(0.0, 4.0), st.floats(0.0, 4.0)).map(
        lambda box: (box[0], box[1], box[0] + box[2], box[1] + box[3])
    ),
    min_size=1,
    max_size=12,
)
commands = st.lists(
    st.tuples(st.floats(-1, 1), st.floats(-1, 1), st.sampled_from([-1.0, 0.0, 1.0])),
    min_size=1,
    max_size=8,
)


@settings(max_examples=60, deadline=None)
@given(boxes=boxes, commands=commands)
def test_no_walk_enters_a_solid_leaves_the_bounds_or_beats_the_run_speed(
    boxes: list[tuple[float, float, float, float]], commands: list[tuple[float, float, float]]
) -> None:
    solids = np.array(boxes)
    starts = [(x, y) for x in range(-9, 10, 3) for y in range(-9, 10, 3)]
    for x, y in [(x, y) for x, y in starts if is_clear(x, y, solids, BOUNDS)][:3]:
        body = Body(float(x), float(y), 0.0)
        for forward, right, turn in commands:
            for _ in range(12):
                step_body(body, command(forward, right, turn, run=True), solids, BOUNDS)
                assert is_clear(body.x, body.y, solids, BOUNDS)
                assert speed(body) <= RUN_SPEED * (1 + 1e-9)
