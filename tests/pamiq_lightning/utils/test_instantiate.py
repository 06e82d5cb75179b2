from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from agent.worlds.embedded.scenes.base import Scene
from pamiq_lightning.learners.base import Learner
from pamiq_lightning.utils.instantiate import build, resolve
from pamiq_lightning.utils.usage_error import UsageError
from tests.synthetic import PPO


class Named(Learner):
    """Takes a text."""

    def __init__(self, folder: str | None = None) -> None:
        super().__init__()


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
        (with_args(lr=float("inf")), ["k.init_args.lr=inf", "finite"]),
        (with_args(lr=float("nan")), ["k.init_args.lr=nan", "finite"]),
        (with_args(latent=[10**30, 1]), ["k.init_args.latent=", "below"]),
        (
            {"class_path": "tests.pamiq_lightning.utils.test_instantiate.Named"}
            | {"init_args": {"folder": 2024}},
            ["k.init_args.folder=2024", "text", "quotes"],
        ),
        ({"class_path": "PPO"}, ["k.class_path=PPO", "MODULE.NAME"]),
        ({"class_path": ".ppo.PPO"}, ["k.class_path=.ppo.PPO", "MODULE.NAME"]),
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


USER_MODULES = {
    "bad_syntax": "import math\ndef broken(:\n",
    "bad_import": "import math\nimport nowhere_at_all\n",
    "bad_exit": "import sys\nsys.exit(3)\n",
    "bad_key": "x = {}\nx['gone']\n",
    "bad_init": """
        import sys
        from agent.worlds.embedded.scenes.street import Street
        class Key(Street):
            def __init__(self): {}["gone"]
        class Exit(Street):
            def __init__(self): sys.exit(3)
        class Value(Street):
            def __init__(self): raise ValueError("no\\nroom")
        class Memory(Street):
            def __init__(self): raise MemoryError
        class Untyped(Street):
            def __init__(self, side): pass
        """,
}


@pytest.fixture
def user_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in USER_MODULES.items():
        (tmp_path / f"{name}.py").write_text(dedent(text))
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("user_modules")
@pytest.mark.parametrize(
    "name, words",
    [
        ("bad_syntax.A", ["SyntaxError", "bad_syntax.py:2"]),
        ("bad_import.A", ["nowhere_at_all", "bad_import.py:2"]),
        ("bad_exit.A", ["sys.exit(3)", "bad_exit.py:2"]),
        ("bad_key.A", ["KeyError: 'gone'", "bad_key.py:2"]),
        ("bad_init.Key", ["Key", "KeyError: 'gone'", "bad_init.py:5"]),
        ("bad_init.Exit", ["Exit", "sys.exit(3)", "bad_init.py:7"]),
        ("bad_init.Value", ["Value", "no room", "bad_init.py:9"]),
        ("bad_init.Memory", ["Memory", "MemoryError", "bad_init.py:11"]),
        ("bad_init.Untyped", ["init_args", "'side'", "does not specify a type"]),
    ],
)
def test_what_a_class_of_the_user_raises_is_one_line_with_its_place(
    name: str, words: list[str]
) -> None:
    with pytest.raises(UsageError) as caught:
        build(Scene, {"class_path": name}, "scene")
    for word in ("scene", *words):
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)
