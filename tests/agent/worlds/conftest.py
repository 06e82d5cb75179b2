from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import pytest

from agent.worlds.blackout import Blackout
from agent.worlds.block_noise import BlockNoise
from agent.worlds.flicker import Flicker
from agent.worlds.food_room import FoodRoom
from agent.worlds.one_screen import OneScreen
from agent.worlds.place import Place
from agent.worlds.street import Street
from agent.worlds.white_noise import WhiteNoise

PLACES: dict[str, Callable[[], Place]] = {
    "street": Street,
    "food_room": lambda: FoodRoom(pool=4),
    "fresh_food_room": lambda: FoodRoom(pool=None),
    "one_screen": lambda: OneScreen(pool=4),
    "blackout": lambda: Blackout(blackouts_per_minute=60.0, seconds=0.3),
    "white_noise": WhiteNoise,
    "flicker": lambda: Flicker(stills=4),
    "block_noise": BlockNoise,
}


@lru_cache
def place_named(name: str) -> Place:
    return PLACES[name]()


@pytest.fixture(params=sorted(PLACES))
def place(request: pytest.FixtureRequest) -> Place:
    return place_named(request.param)
