"""Puts `conf=NAME key=value ...` together into one dictionary, before anything heavy is imported.

Layers, the later one wins: the files named by `extends:`, the file itself, the command line. A
string that ends in .yaml stands for that file; below `learners` it is laid over by the file of the
same name for the size. A `init_weights` is looked for beside the file that names it. Where a later
layer names another class_path, the init_args before it go.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from agent.errors import UsageError
from agent.run_dir import SETTINGS
from pamiq_lightning.utils.suggest import unknown_name


class _Loader(yaml.SafeLoader):
    """YAML 1.1, but 1e-4 is a number and off is a word, as YAML 1.2 has it."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile("^(true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d[\d_]*\.?[\d_]*|\.\d[\d_]*)[eE][-+]?\d+$"),
    list("-+0123456789."),
)


@dataclass(frozen=True)
class CommandLine:
    """What the user typed.

    Attributes:
        conf: name of the settings file.
        overrides: key=value pairs, the keys with dots.
        help: the user wants to read, not to run.
        resume: folder of the run to go on with, or auto for the newest of that conf.
    """

    conf: str = "japan_street"
    overrides: dict[str, Any] = field(default_factory=dict)
    help: bool = False
    resume: str | None = None


def read_command_line(arguments: Sequence[str]) -> CommandLine:
    """Split `conf=NAME key=value ...`.

    Raises:
        UsageError: an argument is not key=value, or its value is not YAML.
    """
    pairs: dict[str, Any] = {}
    wants_help = False
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if argument in ("-h", "--help", "help"):
            wants_help = True
        elif not equals or not key or key.startswith("-"):
            raise UsageError(f"expected key=value, got {argument!r} (try --help)")
        else:
            pairs[key] = _read_value(key, value)
    resume = pairs.pop("resume", None)
    own = CommandLine.conf
    if resume is not None and resume != "auto":
        # The run's own settings; what is typed behind it is laid over them.
        own = str(Path(str(resume)) / SETTINGS)
    conf = pairs.pop("conf", own)
    return CommandLine(str(conf), pairs, wants_help, None if resume is None else str(resume))


def _read_value(key: str, value: str) -> Any:
    try:
        return yaml.load(value, _Loader)
    except yaml.YAMLError as error:
        raise UsageError(f"{key}={value}: is not a value in YAML") from error


def conf_folders() -> list[Path]:
    """Return where settings files are looked for: ./conf, then beside the package."""
    return [Path.cwd() / "conf", Path(__file__).resolve().parents[2] / "conf"]


def find_conf(name: str) -> Path:
    """Return the file of a conf name, or of a path, such as the settings.yaml of a run.

    Raises:
        UsageError: there is none; the message names the nearest.
    """
    if name.endswith((".yaml", ".yml")) and Path(name).is_file():
        return Path(name)
    folders = [folder for folder in conf_folders() if folder.is_dir()]
    for folder in folders:
        path = folder / f"{name}.yaml"
        if path.is_file():
            return path
    known = sorted({path.stem for folder in folders for path in folder.glob("*.yaml")})
    raise UsageError(f"conf={name}: {unknown_name(name, known)}")


def compose(command: CommandLine, default_size: Callable[[], str]) -> dict[str, Any]:
    """Return the settings as one plain dictionary.

    Args:
        command: what the user typed.
        default_size: tells the size where neither conf nor command line does; may be slow.

    Raises:
        UsageError: a file is missing, is not YAML, or includes itself.
    """
    path = find_conf(command.conf)
    # The size decides which files are included, so it is read before them.
    size = command.overrides.get("size") or _load(path, None).get("size") or default_size()
    settings = _load(path, str(size))
    resolved = read_yaml(path)
    if path.name == SETTINGS and resolved.get("size") != size:
        raise UsageError(
            f"size={size}: {path} has all sizes of {resolved.get('size')} written out; begin from "
            "a conf instead"
        )
    for key, value in command.overrides.items():
        settings = merge(settings, _nested(key, value))
    return {**settings, "size": size}


def merge(base: Any, over: Any) -> Any:
    """Lay `over` upon `base`, key by key; a new class_path drops the old init_args."""
    if not (isinstance(base, Mapping) and isinstance(over, Mapping)):
        return over
    if "class_path" in over and base.get("class_path") not in (None, over["class_path"]):
        return dict(over)
    merged = dict(base)
    for key, value in over.items():
        merged[key] = merge(base[key], value) if key in base else value
    return merged


def _nested(key: str, value: Any) -> dict[str, Any]:
    for part in reversed(key.split(".")):
        value = {part: value}
    nested: dict[str, Any] = value
    return nested


def _load(path: Path, size: str | None, seen: tuple[Path, ...] = ()) -> dict[str, Any]:
    """Load a file with all it extends and includes; without a size, learners are left out."""
    path = path.resolve()
    if path in seen:
        raise UsageError(f"{path} extends itself")
    own = read_yaml(path)
    extends = own.pop("extends", [])
    settings: dict[str, Any] = {}
    for parent in [extends] if isinstance(extends, str) else extends:
        settings = merge(settings, _load(path.parent / parent, size, (*seen, path)))
    if size is None:
        own.pop("learners", None)
    learners = own.get("learners")
    if isinstance(learners, Mapping):
        own["learners"] = {
            role: _learner(path.parent / entry, size or "")
            if isinstance(entry, str)
            else _beside(path, entry)
            for role, entry in learners.items()
        }
    settings = merge(settings, own)
    return settings


def _beside(path: Path, entry: Any) -> Any:
    """Let weights that a settings file names be looked for beside it, else where it says."""
    start = entry.get("init_weights") if isinstance(entry, Mapping) else None
    if isinstance(start, str) and (path.parent / start).is_file():
        return {**entry, "init_weights": str(path.parent / start)}
    return entry


def _learner(path: Path, size: str) -> dict[str, Any]:
    """Load a learner's file and lay the one for the size over it."""
    learner = read_yaml(path)
    sized = path.parent.parent / "sizes" / size / path.name
    if sized.is_file():
        learner = merge(learner, read_yaml(sized))
    # What the offline command line reads; the agent has no use for it.
    learner.pop("data", None)
    learner.pop("trainer", None)
    return learner


def read_yaml(path: Path) -> dict[str, Any]:
    """Read one YAML file.

    Raises:
        UsageError: it is missing, not YAML, or not a mapping.
    """
    if not path.is_file():
        raise UsageError(f"there is no settings file {path}")
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _Loader) or {}
    except yaml.YAMLError as error:
        raise UsageError(f"{path} is not YAML: {error}") from error
    if not isinstance(content, dict):
        raise UsageError(f"{path} must hold keys and values, not a {type(content).__name__}")
    return content
