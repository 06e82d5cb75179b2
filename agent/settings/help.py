"""`python -m agent.run --help`: every key, its default and what it does, read from the classes."""

from __future__ import annotations

import dataclasses
import inspect
import textwrap
from collections.abc import Iterator
from typing import Any

from docstring_parser import parse as parse_docstring

from agent.errors import UsageError
from agent.settings.compose import conf_folders
from agent.settings.schema import Settings
from agent.worlds.vrchat.settings import VRChatSettings
from pamiq_lightning.recording.settings import RecordingSettings
from pamiq_lightning.trainer.settings import LearnerSettings, TrainerSettings
from pamiq_lightning.utils.instantiate import SpecError, find_class

USAGE = """\
usage: python -m agent.run [conf=NAME] [resume=RUN] [key=value ...]

Start an agent that acts, is curious, and learns while it lives. Stop it with Ctrl-C.
Examples:
  python -m agent.run conf=japan_street
  python -m agent.run conf=food_room seconds=300 seed=1
  python -m agent.run conf=japan_street learners.policy.model.init_args.lr=1e-4
  python -m agent.run resume=runs/japan_street/DATE-TIME
  python -m agent.run conf=japan_street resume=auto

resume: folder of a run to go on with from its newest checkpoint, or auto for the newest run of conf
"""


def render(settings: dict[str, Any]) -> str:
    """Return the whole help for composed settings: their values stand as the defaults."""
    names = sorted({p.stem for d in conf_folders() if d.is_dir() for p in d.glob("*.yaml")})
    lines = [USAGE, f"conf: one of {', '.join(names)}", ""]
    for key, default, sentence in _keys(settings):
        lines.append(f"  {key} (default: {default})" if default != "" else f"  {key}")
        lines += textwrap.wrap(sentence, 92, initial_indent=" " * 6, subsequent_indent=" " * 6)
    return "\n".join(lines)


def _keys(settings: dict[str, Any]) -> Iterator[tuple[str, Any, str]]:
    """Yield key, default and sentence of everything that can be set."""
    nested = (
        "learners",
        "trainer",
        "recording",
        "vrchat",
        "scene",
        "curiosity",
        "logged_rewards",
    )
    for name, default, sentence in _dataclass_keys(Settings):
        value = "" if name in nested else settings.get(name, default)
        yield name, value, sentence
        if name in ("scene", "curiosity"):
            yield from _class_keys(name, settings.get(name) or {})
    sections = (
        ("vrchat", VRChatSettings),
        ("recording", RecordingSettings),
        ("trainer", TrainerSettings),
    )
    for section, cls in sections:
        for name, default, sentence in _dataclass_keys(cls):
            yield f"{section}.{name}", (settings.get(section) or {}).get(name, default), sentence
    for role, entry in (settings.get("learners") or {}).items():
        for name, default, sentence in _dataclass_keys(LearnerSettings):
            yield f"learners.{role}.{name}", "" if name == "model" else default, sentence
            if name == "model":
                yield from _class_keys(f"learners.{role}.model", entry.get("model") or {})


def _dataclass_keys(cls: type) -> Iterator[tuple[str, Any, str]]:
    sentences = _sentences(cls)
    for item in dataclasses.fields(cls):
        default = "" if item.default is dataclasses.MISSING else item.default
        yield item.name, default, sentences[item.name]


def _class_keys(key: str, spec: dict[str, Any]) -> Iterator[tuple[str, Any, str]]:
    if "class_path" not in spec:
        return
    try:
        cls: type = find_class(object, spec["class_path"], key)
    except SpecError as error:
        raise UsageError(str(error)) from error
    yield f"{key}.class_path", spec["class_path"], (inspect.getdoc(cls) or "").split("\n")[0]
    sentences, given = _sentences(cls), spec.get("init_args") or {}
    for name, parameter in inspect.signature(cls).parameters.items():
        if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
            continue
        default = given.get(name, parameter.default)
        yield f"{key}.init_args.{name}", default, sentences[name]


def _sentences(cls: type) -> dict[str, str]:
    """Return what a class's docstring says of each argument."""
    parsed = parse_docstring(inspect.getdoc(cls) or "")
    return {item.arg_name: " ".join((item.description or "").split()) for item in parsed.params}
