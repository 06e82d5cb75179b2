"""The one place through which YAML that people write is read: files, and values of a command line.

Scalars are those of YAML 1.2: 010 is ten, 1e-4 a number, off and 2024-01-01 are texts. Keys are
texts as they are typed, and none may stand twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from pamiq_lightning.utils.builtin_types import to_plain
from pamiq_lightning.utils.usage_error import UsageError

_MERGE = "tag:yaml.org,2002:merge"
_DIGITS = [*"-+.0123456789"]
_SCALARS = (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", [*"tTfF"]),
    ("int", r"[-+]?\d[\d_]*|0o[0-7]+|0x[0-9a-fA-F]+", _DIGITS),
    (
        "float",
        r"[-+]?(\.\d[\d_]*|\d[\d_]*(\.[\d_]*)?)([eE][-+]?\d+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        _DIGITS,
    ),
)


class Section(dict[str, Any]):
    """A mapping of a file; `places` has FILE:LINE of every key."""

    def __init__(self) -> None:
        super().__init__()
        self.places: dict[str, str] = {}


class _Loader(yaml.SafeLoader):
    """YAML 1.2's scalars; mappings become sections."""


class _Dumper(yaml.SafeDumper):
    """Puts quotes round a text that YAML 1.1 or 1.2 would take for something else."""


_Loader.yaml_implicit_resolvers = {"<": [(_MERGE, re.compile("^<<$"))]}
for _name, _pattern, _first in _SCALARS:
    for _class in (_Loader, _Dumper):
        _regex = re.compile(f"^(?:{_pattern})$")
        _class.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", _regex, _first)


def _int(loader: _Loader, node: yaml.ScalarNode) -> int:
    text = node.value.replace("_", "")
    return int(text, 0) if text[:2] in ("0o", "0x") else int(text)


def _section(loader: _Loader, node: yaml.MappingNode) -> Section:
    section, merged = Section(), []
    for key, value in node.value:
        line = f"{loader.name}:{key.start_mark.line + 1}"
        place = f"{line}: " if loader.name else ""
        if key.tag == _MERGE:
            merged.append((key, value))
        elif not isinstance(key, yaml.ScalarNode):
            raise UsageError(f"{place}a key must be a text")
        elif key.value in section:
            first = section.places[key.value].rpartition(":")[2]
            raise UsageError(f"{place}{key.value} is given twice, first in line {first}")
        else:
            section[key.value] = loader.construct_object(value, deep=True)
            section.places[key.value] = line
    if merged:
        node.value = merged
        loader.flatten_mapping(node)
        for key, value in node.value:
            section.setdefault(key.value, loader.construct_object(value, deep=True))
    return section


_Loader.add_constructor("tag:yaml.org,2002:int", _int)
_Loader.add_constructor("tag:yaml.org,2002:map", _section)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read one YAML file as plain values.

    Raises:
        UsageError: as of `read_sections`.
    """
    content: dict[str, Any] = to_plain(read_sections(path))
    return content


def read_sections(path: Path) -> Section:
    """Read one YAML file; each mapping in it is a section.

    Raises:
        UsageError: it is missing, not UTF-8, not YAML, or not a mapping; a key stands twice.
    """
    if not path.is_file():
        raise UsageError(f"there is no settings file {path}")
    try:
        raw = path.read_bytes()
        text = raw.decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise UsageError(f"{path}:{line}: is not UTF-8 text; save the file as UTF-8") from error
    content = _load(text, str(path))
    if content is None:
        return Section()
    if not isinstance(content, Section):
        kind = type(content).__name__
        raise UsageError(f"{path}:1: must hold keys and values, such as `rate: 10`, not a {kind}")
    return content


def places_in(section: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield every dotted key of a section, and of those in it, with its FILE:LINE."""
    for key, value in section.items():
        if isinstance(section, Section) and key in section.places:
            yield f"{prefix}{key}", section.places[key]
        if isinstance(value, Mapping):
            yield from places_in(value, f"{prefix}{key}.")


def parse_value(text: str) -> Any:
    """Return the value of `key=text`: a number, true, false or null; {...} or [...]; or a text.

    Quotes round a text are taken off; otherwise it is kept as it is, with any # or colon.

    Raises:
        UsageError: it begins as {...}, [...] or a quoted text, and is none.
    """
    if text.strip()[:1] in ("{", "[", '"', "'"):
        return to_plain(_load(text, ""))
    loader = _Loader("")
    try:
        tag = loader.resolve(yaml.ScalarNode, text.strip(), (True, False))  # type: ignore[no-untyped-call]
        value = loader.construct_object(yaml.ScalarNode(tag, text.strip()))
    finally:
        loader.dispose()
    return text if isinstance(value, str) else value


def read_text(text: str) -> Any:
    """Return the plain content of a YAML document.

    Raises:
        UsageError: it is not YAML, or a key stands twice.
    """
    return to_plain(_load(text, ""))


def dump_yaml(content: Any) -> str:
    """Return plain values as YAML that reads back the same."""
    text: str = yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
    return text


def _load(text: str, name: str) -> Any:
    """Load one document.

    Raises:
        UsageError: it is not YAML.
    """
    loader = None
    try:
        loader = _Loader(text)
        loader.name = name
        return loader.get_single_data()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{name}:{mark.line + 1}: " if mark and name else ""
        problem = " ".join((error.problem or error.context or "").split())
        hint = "; indent with spaces" if "\\t" in problem else ""
        raise UsageError(f"{place}is not YAML: {problem}{hint}") from error
    except yaml.reader.ReaderError as error:
        place = f"{name}:{text.count(chr(10), 0, error.position) + 1}: " if name else ""
        raise UsageError(f"{place}is not YAML: a control character stands in it") from error
    except RecursionError as error:
        place = f"{name}: " if name else ""
        raise UsageError(f"{place}is not YAML: it nests too deeply") from error
    finally:
        if loader is not None:
            loader.dispose()
