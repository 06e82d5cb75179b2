from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import pytest

from agent.worlds.embedded.scenes.base import Scene
from agent.worlds.embedded.scenes.blackout import Blackout
from agent.worlds.embedded.scenes.block_noise import BlockNoise
from agent.worlds.embedded.scenes.flicker import Flicker
from agent.worlds.embedded.scenes.food_room import FoodRoom
from agent.worlds.embedded.scenes.one_screen import OneScreen
from agent.worlds.embedded.scenes.street import Street
from agent.worlds.embedded.scenes.white_noise import WhiteNoise

SCENES: dict[str, Callable[[], Scene]] = {
    "street": Street,
    "food_room": lambda: FoodRoom(pool=4),
    "procedural_food_room": lambda: FoodRoom(pool=None),
    "one_screen": lambda: OneScreen(pool=4),
    "blackout": lambda: Blackout(blackouts_per_minute=60.0, seconds=0.3),
    "white_noise": WhiteNoise,
    "flicker": lambda: Flicker(stills=4),
    "block_noise": BlockNoise,
}


@lru_cache
def scene_named(name: str) -> Scene:
    return SCENES[name]()


@pytest.fixture(params=sorted(SCENES))
def scene(request: pytest.FixtureRequest) -> Scene:
    return scene_named(request.param)
