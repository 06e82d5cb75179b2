"""`python -m agent.run --help`: every key, its default and what it does, read from the classes."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass
from typing import Any

from docstring_parser import parse as parse_docstring

from agent.settings.compose import conf_names
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
    lines = [USAGE, f"conf: one of {', '.join(conf_names())}", ""]
    for key, default, sentence in _keys(settings, ""):
        lines.append(f"  {key} (default: {default})" if default != "" else f"  {key}")
        lines += textwrap.wrap(sentence, 92, initial_indent=" " * 6, subsequent_indent=" " * 6)
    return "\n".join(lines)


def _keys(section: Any, prefix: str) -> Iterator[tuple[str, Any, str]]:
    """Yield key, default and sentence of everything that can be set in a dataclass."""
    sentences = _sentences(type(section))
    for name, value in vars(section).items():
        key, sentence = f"{prefix}{name}", sentences[name]
        nested = value if isinstance(value, dict) else {}
        yield key, "" if nested == value or is_dataclass(value) else value, sentence
        if is_dataclass(value):
            yield from _keys(value, f"{key}.")
        elif "class_path" in nested:
            yield from _class_keys(key, nested)
        for entry_name, entry in nested.items():
            if is_dataclass(entry):
                yield from _keys(entry, f"{key}.{entry_name}.")


def _class_keys(key: str, spec: Mapping[str, Any]) -> Iterator[tuple[str, Any, str]]:
    """Yield key, default and sentence of a class and its arguments."""
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
