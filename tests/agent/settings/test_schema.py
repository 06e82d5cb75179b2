from __future__ import annotations

import math
import os
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
import yaml

from agent.errors import UsageError
from agent.settings.compose import CommandLine, compose
from agent.settings.help import render
from agent.settings.schema import Settings, parse
from pamiq_lightning.trainer.settings import LearnerSettings
from pamiq_lightning.utils.builtin_types import to_plain
from pamiq_lightning.utils.cpu import can_pin
from pamiq_lightning.utils.ranges import find_range
from pamiq_lightning.utils.yaml_files import dump_yaml

ROLES = {"encoder", "dynamics", "policy", "decoder"}


def parsed(*layers: tuple[str, Any], conf: str = "japan_street") -> Settings:
    return parse(compose(CommandLine(conf, dict(layers)), lambda: "tiny"))


@pytest.mark.parametrize("conf", ["base", "japan_street", "food_room", "debug"])
@pytest.mark.parametrize("size", ["debug", "tiny", "small", "medium", "large"])
def test_the_shipped_files_are_sound(conf: str, size: str) -> None:
    settings = parsed(("size", size), conf=conf)
    assert settings.size == size
    assert set(settings.learners) == ROLES
    # What is saved with a run is plain YAML, and says the same when it is read again.
    text = dump_yaml(to_plain(settings))
    assert to_plain(parse(yaml.safe_load(text))) == to_plain(settings)


@pytest.mark.parametrize(
    "key, value, words",
    [
        ("rat", 3, ["rat:", "did you mean rate?"]),
        ("rate", 0, ["rate=0", "must be a number from 0.01 to 1000"]),
        ("rate", -1, ["rate=-1", "from 0.01"]),
        ("rate", "fast", ["rate=fast"]),
        ("steps", 0, ["steps=0", "a whole number from 1 to", "or null"]),
        ("rollout_length", 1, ["rollout_length=1", "from 2 to"]),
        ("seconds", -5, ["seconds=-5"]),
        ("size", "huge", ["size=huge", "tiny"]),
        ("world", "mars", ["world=mars", "vrchat"]),
        ("seed", 1.5, ["seed=1.5"]),
        ("learners.polcy.freeze", True, ["learners.polcy", "did you mean policy?"]),
        ("learners.policy.freez", True, ["learners.policy.freez", "did you mean freeze?"]),
        ("trainer.nic", 3, ["trainer.nic", "did you mean nice?"]),
        ("learners", 5, ["learners=5", "policy"]),
        ("seed", 10**20, ["seed=", "to 4294967295"]),
        ("osc_port", 99999, ["osc_port=99999"]),
        ("agent_core", 4096, ["agent_core=4096", "one of the cores that this process may use"]),
        ("time_scale", 0, ["time_scale=0", "above 0"]),
        ("curiosity", 3, ["curiosity=3", "class_path"]),
        ("learners.policy.model", "x", ["learners.policy.model=x", "class_path"]),
        ("trainer", 3, ["trainer=3", "nice"]),
        ("trainer", None, ["trainer=null", "nice"]),
        ("rate", None, ["rate=null", "must be a number"]),
        ("seed", "010", ["seed=010", "a whole number"]),
        ("runs", 10, ["runs=10", "a text", "quotes"]),
        ("vrchat.listen", 70000, ["vrchat.listen=70000", "to 65535", "oscquery"]),
        ("shapes.latent", [16, 0], ["shapes.latent=[16, 0]", "from 1"]),
    ],
)
def test_mistakes_name_the_key_the_value_and_what_is_allowed(
    key: str, value: object, words: list[str]
) -> None:
    with pytest.raises(UsageError) as caught:
        parsed((key, value))
    for word in words:
        assert word in str(caught.value)


def test_lockstep_needs_a_rate_that_fits_physics_and_no_vrchat() -> None:
    assert parsed(("clock", "lockstep"), ("rate", 15)).rate == 15
    with pytest.raises(UsageError, match="must divide 30"):
        parsed(("clock", "lockstep"), ("rate", 7))
    with pytest.raises(UsageError, match="VRChat keeps its own time"):
        parsed(("clock", "lockstep"), ("world", "vrchat"))


@pytest.mark.parametrize("other", [("clock", "lockstep"), ("world", "vrchat")])
def test_only_the_embedded_world_in_real_time_can_be_hurried(other: tuple[str, str]) -> None:
    assert parsed(("time_scale", 2)).time_scale == 2
    with pytest.raises(UsageError, match="time_scale=2"):
        parsed(("time_scale", 2), other)


def test_help_has_a_sentence_for_every_key() -> None:
    text = render(parsed())
    for key in ("rate", "trainer.nice", "learners.policy.init_weights", "curiosity.class_path"):
        assert f"  {key} " in text or f"  {key}\n" in text
    lines = text.splitlines()
    keys = [i for i, line in enumerate(lines) if line.startswith("  ") and line[2] != " "]
    described = [i for i in keys if lines[i + 1].startswith("      ") and lines[i + 1].strip()]
    usage_examples = 5
    assert len(keys) - len(described) == usage_examples
    assert any("learners.encoder.model.init_args.ema" in lines[i] for i in described)


def numbers(section: Any, prefix: str = "") -> list[str]:
    """Return the dotted keys of all numbers in the schema."""
    found = []
    for name, hint in get_type_hints(section, include_extras=True).items():
        if is_dataclass(hint):
            found += numbers(hint, f"{prefix}{name}.")
        elif {int, float} & {hint, *get_args(hint)} or find_range(hint):
            found.append(f"{prefix}{name}")
    return found


@pytest.mark.parametrize("key", [*numbers(Settings), *numbers(LearnerSettings, "learners.policy.")])
@pytest.mark.parametrize("number", [math.inf, -math.inf, math.nan, 10**30, -(10**30)])
def test_every_number_is_finite_and_bounded(key: str, number: float) -> None:
    settings: Any = [number, number] if key.startswith("shapes.") else number
    for name in reversed(key.split(".")):
        settings = {name: settings}
    with pytest.raises(UsageError, match=f"{key}="):
        parse(settings)


def test_a_wrong_value_of_a_file_is_named_with_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"extends: {Path('conf/debug.yaml').resolve()}\ntrainer:\n  nice: 40\n")
    with pytest.raises(UsageError, match=r"trainer.nice=40 \(.*mine.yaml:3\): must be"):
        parsed(conf=str(path))
    path.write_text(f"extends: {Path('conf/debug.yaml').resolve()}\ntrainer:\n")
    with pytest.raises(UsageError, match=r"trainer=null \(.*mine.yaml:2\): must hold threads"):
        parsed(conf=str(path))


@pytest.mark.skipif(not can_pin(), reason="cores cannot be chosen here")
def test_agent_core_is_one_of_those_that_the_process_may_use(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {4, 5, 6, 7})
    assert parsed(("agent_core", 4)).agent_core == 4
    with pytest.raises(UsageError, match=r"agent_core=0: .* \(4, 5, 6, 7\)"):
        parsed(("agent_core", 0))
