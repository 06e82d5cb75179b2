from __future__ import annotations

import json

import numpy as np
import pytest

from agent.worlds.embedded.lockstep import LockstepWorld
from agent.worlds.embedded.scenes.base import Scene
from agent.worlds.embedded.scenes.food_room import FoodRoom
from agent.worlds.embedded.scenes.street import Street
from agent.worlds.embedded.simulation import Simulation

SCENE = FoodRoom(pool=2)
FORWARD = np.array([1, 0, 0, 0, 0])


@pytest.mark.parametrize("rate", [0, 4, 7, 9.5, 60])
def test_rate_that_does_not_divide_the_physics_rate_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="one of 1, 2, 3, 5, 6, 10, 15, 30"):
        LockstepWorld(SCENE, 16, 0, rate)


@pytest.mark.parametrize("rate", [1, 10, 30])
def test_tick_takes_its_share_of_a_second(rate: int) -> None:
    world = LockstepWorld(SCENE, 16, 0, rate)
    step = world.info_names.index("step")
    seen = []
    for _ in range(3):
        seen.append(int(world.observe()[1][step]))
        world.act(FORWARD)
    assert seen == [0, 30 // rate, 60 // rate]


def test_ticks_equal_manual_steps() -> None:
    world, simulation = LockstepWorld(SCENE, 16, 5, 10), Simulation(SCENE, 16, 5)
    rng = np.random.default_rng(0)
    addresses = ("/input/Vertical", "/input/Horizontal", "/input/LookHorizontal")
    world.observe()
    for _ in range(30):
        action = rng.integers(0, [3, 3, 3, 1, 1])
        world.act(action)
        frame, info = world.observe()
        for address, choice in zip(addresses, action, strict=False):
            simulation.set_input(address, (0, 1, -1)[choice])
        for _ in range(3):
            simulation.step()
        assert (frame == simulation.frame()).all()
        assert (info == simulation.info()).all()


def test_released_inputs_stop_the_body() -> None:
    world = LockstepWorld(SCENE, 16, 0, 10)
    world.observe()
    world.act(FORWARD)
    moved = world.observe()[1]
    world.release_inputs()
    rested = world.observe()[1]
    y = world.info_names.index("y")
    assert moved[y] > 3.0 and rested[y] == moved[y]
    world.close()
    world.close()


def test_loaded_state_continues_identically(scene: Scene) -> None:
    rng = np.random.default_rng(0)
    choices = ((1, 0, 0, 0, 1), (1, 0, 2, 1, 0), (0, 1, 1, 0, 0), (2, 0, 0, 0, 0))
    actions = [np.array(choices[int(rng.integers(len(choices)))]) for _ in range(60)]
    original, resumed = LockstepWorld(scene, 16, 5, 10), LockstepWorld(scene, 16, 5, 10)
    for action in actions[:30]:
        original.observe()
        original.act(action)
    resumed.load_state_dict(json.loads(json.dumps(original.state_dict())))
    for action in actions[30:]:
        (frame, info), (expected_frame, expected_info) = resumed.observe(), original.observe()
        assert (frame == expected_frame).all()
        assert np.array_equal(info, expected_info, equal_nan=True)
        resumed.act(action)
        original.act(action)


def test_state_of_another_scene_is_refused() -> None:
    state = LockstepWorld(Street(), 16, 0, 10).state_dict()
    with pytest.raises(ValueError, match="scene with Door"):
        LockstepWorld(SCENE, 16, 0, 10).load_state_dict(state)
