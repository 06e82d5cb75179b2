"""`python -m agent.run --help`: every key, its default and what it does, read from the classes."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass
from typing import Any

from docstring_parser import parse as parse_docstring

from agent.settings.compose import conf_files
from agent.settings.schema import Settings
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


def render(settings: Settings) -> str:
    """Return the whole help; the values of `settings` stand as the defaults."""
    lines = [USAGE, f"conf: one of {', '.join(sorted(conf_files()))}", ""]
    for key, default, sentence in _keys(Settings, vars(settings), ""):
        lines.append(f"  {key} (default: {default})" if default != "" else f"  {key}")
        lines += textwrap.wrap(sentence, 92, initial_indent=" " * 6, subsequent_indent=" " * 6)
    return "\n".join(lines)


def _keys(cls: type, values: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any, str]]:
    """Yield key, default and sentence of everything that can be set in a class."""
    parsed = parse_docstring(inspect.getdoc(cls) or "").params
    sentences = {item.arg_name: " ".join((item.description or "").split()) for item in parsed}
    for name, value in values.items():
        section = is_dataclass(value) or isinstance(value, dict)
        yield f"{prefix}{name}", "" if section else value, sentences.get(name, "")
        yield from _keys_in(value, f"{prefix}{name}")


def _keys_in(value: Any, key: str) -> Iterator[tuple[str, Any, str]]:
    """Yield the same of what a value holds: a section, a class and its arguments, or several."""
    if is_dataclass(value):
        yield from _keys(type(value), vars(value), f"{key}.")
    elif isinstance(value, dict) and "class_path" in value:
        cls: type = find_class(object, value["class_path"], key)
        yield f"{key}.class_path", value["class_path"], (inspect.getdoc(cls) or "").split("\n")[0]
        given = value.get("init_args") or {}
        arguments = {
            name: given.get(name, parameter.default)
            for name, parameter in inspect.signature(cls).parameters.items()
            if parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
        }
        yield from _keys(cls, arguments, f"{key}.init_args.")
    elif isinstance(value, dict):
        for name, entry in value.items():
            yield from _keys_in(entry, f"{key}.{name}")
