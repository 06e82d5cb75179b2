"""`python -m agent.run --help`: every key, its default and what it does, read from the classes."""

from __future__ import annotations

import dataclasses
import inspect
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any, get_args, get_origin, get_type_hints

from docstring_parser import parse as parse_docstring

from agent.settings.compose import conf_names
from agent.settings.schema import ClassSpec, Settings
from pamiq_lightning.utils.instantiate import find_class

USAGE = """\
usage: python -m agent.run [conf=NAME] [resume=RUN] [key=value ...]

Start an agent that acts, is curious, and learns while it lives. Stop it with Ctrl-C.
Examples:
  python -m agent.run conf=japan_street
  python -m agent.run conf=food_room seconds=300 seed=1
  python -m agent.run conf=japan_street learners.policy.model.init_args.lr=1e-4
  python -m agent.run resume=runs/japan_street/DATE-TIME
  python -m agent.run conf=japan_street resume=auto

resume: folder of a run to resume from its newest checkpoint, or auto for the newest run of conf
"""


def render(settings: Mapping[str, Any]) -> str:
    """Return the whole help for composed settings: their values stand as the defaults."""
    lines = [USAGE, f"conf: one of {', '.join(conf_names())}", ""]
    for key, default, sentence in _keys(Settings, settings, ""):
        lines.append(f"  {key} (default: {default})" if default != "" else f"  {key}")
        lines += textwrap.wrap(sentence, 92, initial_indent=" " * 6, subsequent_indent=" " * 6)
    return "\n".join(lines)


def _keys(cls: type, given: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any, str]]:
    """Yield key, default and sentence of everything that can be set in a dataclass."""
    hints, sentences = get_type_hints(cls), _sentences(cls)
    for item in dataclasses.fields(cls):
        key, hint, value = f"{prefix}{item.name}", hints[item.name], given.get(item.name)
        if dataclasses.is_dataclass(hint):
            yield key, "", sentences[item.name]
            yield from _keys(hint, value or {}, f"{key}.")  # type: ignore[arg-type]
        elif get_origin(hint) is dict:
            yield key, "", sentences[item.name]
            inner = get_args(hint)[1]
            if hint == ClassSpec:
                yield from _class_keys(key, value or {})
            elif dataclasses.is_dataclass(inner):
                for name, entry in (value or {}).items():
                    yield from _keys(inner, entry, f"{key}.{name}.")  # type: ignore[arg-type]
        else:
            default = "" if item.default is dataclasses.MISSING else item.default
            yield key, given.get(item.name, default), sentences[item.name]


def _class_keys(key: str, spec: Mapping[str, Any]) -> Iterator[tuple[str, Any, str]]:
    """Yield key, default and sentence of a class and its arguments."""
    if "class_path" not in spec:
        return
    cls: type = find_class(object, spec["class_path"], key)
    yield f"{key}.class_path", spec["class_path"], (inspect.getdoc(cls) or "").split("\n")[0]
    sentences, given = _sentences(cls), spec.get("init_args") or {}
    for name, parameter in inspect.signature(cls).parameters.items():
        if parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
            default = given.get(name, parameter.default)
            yield f"{key}.init_args.{name}", default, sentences[name]


def _sentences(cls: type) -> dict[str, str]:
    """Return what a class's docstring says of each argument."""
    parsed = parse_docstring(inspect.getdoc(cls) or "")
    return {item.arg_name: " ".join((item.description or "").split()) for item in parsed.params}
