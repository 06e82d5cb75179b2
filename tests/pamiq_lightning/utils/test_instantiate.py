from __future__ import annotations

import pytest

from agent.worlds.embedded.scenes.base import Scene
from pamiq_lightning.learners.base import Learner
from pamiq_lightning.utils.instantiate import build, resolve
from pamiq_lightning.utils.usage_error import UsageError
from tests.synthetic import PPO


def with_args(**changes: object) -> dict[str, object]:
    return {**PPO, "init_args": {**PPO["init_args"], **changes}}  # type: ignore[dict-item]


def test_defaults_are_filled_in() -> None:
    resolved = resolve(Learner, PPO, "k")
    assert resolved["init_args"]["gamma"] == 0.99
    assert resolved["init_args"]["dim"] == 32


@pytest.mark.parametrize(
    "name",
    [
        "street.Street",
        "food_room.FoodRoom",
        "one_screen.OneScreen",
        "blackout.Blackout",
        "white_noise.WhiteNoise",
        "flicker.Flicker",
        "block_noise.BlockNoise",
    ],
)
def test_what_was_filled_in_is_itself_accepted(name: str) -> None:
    # Of a class that hands arguments on (`**street`), too.
    spec = resolve(Scene, {"class_path": f"agent.worlds.embedded.scenes.{name}"}, "k")
    assert resolve(Scene, spec, "k") == spec
    assert isinstance(build(Scene, spec, "k"), Scene)


@pytest.mark.parametrize(
    "spec, words",
    [
        (with_args(lrr=1), ["k.init_args.lrr", "did you mean lr?"]),
        (with_args(lr="fast"), ["k.init_args", "lr", "fast", "float"]),
        (with_args(dim=-4), ["k.init_args", "dim"]),
        (with_args(depth=0), ["k.init_args", "depth"]),
        ({**PPO, "init_args": 5}, ["k.init_args=5"]),
        ({"class_path": "pamiq_lightning.learners.ppo.POP"}, ["k.class_path", "POP"]),
        ({"class_path": "nowhere.Thing"}, ["k.class_path=nowhere.Thing"]),
        ({"class_path": "pathlib.Path"}, ["is not a pamiq_lightning.learners.base.Learner"]),
        ({"init_args": {}}, ["class_path"]),
    ],
)
def test_mistakes_are_named(spec: dict[str, object], words: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        build(Learner, spec, "k")
    for word in words:
        assert word in str(caught.value)
