"""Composes `conf=NAME key=value ...` into one dictionary, before anything heavy is imported.

Layers, the later one wins: learner file, size file, conf (the files it `extends:` first), command
line. Where a later layer names another class_path, the init_args before it are dropped. At last
each `${shapes.latent}` becomes the value it refers to.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

import pamiq_lightning
from agent.errors import UsageError
from agent.run_dir import SETTINGS
from pamiq_lightning.utils.usage_error import check_names

_BOOL, _FLOAT = "tag:yaml.org,2002:bool", "tag:yaml.org,2002:float"
_EXPONENT = re.compile(r"^[-+]?(\d[\d_]*\.?[\d_]*|\.\d[\d_]*)[eE][-+]?\d+$")
_WORDS = {"true": True, "false": False}


class _Loader(yaml.SafeLoader):
    """YAML 1.1, but 1e-4 is a number and off is a word, as in YAML 1.2."""


_Loader.add_constructor(_BOOL, lambda _, node: _WORDS.get(node.value.lower(), node.value))
_Loader.add_implicit_resolver(_FLOAT, _EXPONENT, [*"-+0123456789."])


@dataclass(frozen=True)
class CommandLine:
    """The command line of `agent.run`.

    Attributes:
        conf: name of the settings file.
        overrides: key=value pairs, the keys with dots.
        help: print the help and do not run.
        resume: folder of the run to resume, or auto for the newest run of that conf.
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
    helps = [argument for argument in arguments if argument in ("-h", "--help", "help")]
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if equals and key and not key.startswith("-"):
            pairs[key] = _parse_yaml(value, f"{key}={value}: is not a value in YAML")
        elif argument not in helps:
            raise UsageError(f"expected key=value, got {argument!r} (try --help)")
    resume = pairs.pop("resume", None)
    of_run = None if resume in (None, "auto") else Path(str(resume)) / SETTINGS
    conf = pairs.pop("conf", of_run or CommandLine.conf)
    return CommandLine(str(conf), pairs, bool(helps), None if resume is None else str(resume))


def conf_files() -> dict[str, Path]:
    """Return the file of every name that `conf=` takes; ./conf goes before the package's own."""
    installed = Path(pamiq_lightning.__file__).parent / "conf"
    shipped = installed if installed.is_dir() else installed.parents[1] / "conf"
    folders = (shipped, Path.cwd() / "conf")
    return {path.stem: path for folder in folders for path in folder.glob("*.yaml")}


def compose(command: CommandLine, default_size: Callable[[], str]) -> dict[str, Any]:
    """Return the settings as one plain dictionary.

    Args:
        command: what the user typed.
        default_size: returns the size where neither conf nor command line names one; may be slow.

    Raises:
        UsageError: a file is missing, is not YAML, or includes itself; a conf, a size or a
            learner's role is unknown; a `${...}` refers to nothing.
    """
    path = Path(command.conf)
    if path.suffix not in (".yaml", ".yml"):
        confs = conf_files()
        check_names("conf=", [command.conf], confs)
        path = confs[command.conf]
    layers = list(_layers(path))
    named = [layer["size"] for _, layer in layers if layer.get("size")]
    size = str(command.overrides.get("size") or (named[-1] if named else default_size()))
    if path.name == SETTINGS and named != [size]:
        raise UsageError(f"size={size}: {path} holds all numbers of another size; use a conf")
    sizes = [entry for folder, _ in layers for entry in (folder / "sizes").glob("*")]
    if sizes:
        check_names("size=", [size], {entry.name for entry in sizes})
    shapes = [entry / "shapes.yaml" for entry in sizes if entry.name == size]
    settings: Any = reduce(merge, (read_yaml(file) for file in shapes if file.is_file()), {})
    for folder, layer in layers:
        if isinstance(learners := layer.get("learners"), Mapping):
            entries = {role: _load_learner(learners[role], folder, size) for role in learners}
            layer = {**layer, "learners": entries}
        settings = merge(settings, layer)
    roles = settings.get("learners") or {}
    for key, value in {**command.overrides, "size": size}.items():
        parts = reversed(key.split("."))
        settings = merge(settings, reduce(lambda inner, part: {part: inner}, parts, value))
    learners = settings.get("learners") or {}
    if not isinstance(learners, Mapping):
        raise UsageError(f"learners={learners}: must hold {', '.join(sorted(roles))}")
    check_names("learners.", learners, roles)
    try:
        return dict(OmegaConf.to_container(OmegaConf.create(settings), resolve=True))  # type: ignore[arg-type]
    except OmegaConfBaseException as error:
        raise UsageError(f"{error.full_key}: {error.msg}") from error


def merge(base: Any, over: Any) -> Any:
    """Merge `over` into `base`, key by key; a new class_path drops the old init_args."""
    if not (isinstance(base, Mapping) and isinstance(over, Mapping)):
        return over
    if "class_path" in over and base.get("class_path") not in (None, over["class_path"]):
        return dict(over)
    return {**base, **{key: merge(base.get(key), value) for key, value in over.items()}}


def _layers(path: Path, seen: tuple[Path, ...] = ()) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Read a file and those it extends, these first; each with the folder it lies in."""
    path = path.resolve()
    if path in seen:
        raise UsageError(f"{path} extends itself")
    own = read_yaml(path)
    extends = own.pop("extends", [])
    for parent in [extends] if isinstance(extends, str) else extends:
        yield from _layers(path.parent / parent, (*seen, path))
    yield path.parent, own


def _load_learner(entry: Any, folder: Path, size: str) -> Any:
    """Load a learner's file and its file for the size; find weights beside the file naming them."""
    if isinstance(entry, str):
        path = folder / entry
        sized = path.parents[1] / "sizes" / size / path.name
        learner = merge(read_yaml(path), read_yaml(sized) if sized.is_file() else {})
        # Only the offline command line reads `data` and `trainer`.
        return {key: learner[key] for key in learner if key not in ("data", "trainer")}
    weights = entry.get("init_weights") if isinstance(entry, Mapping) else None
    if isinstance(weights, str) and (folder / weights).is_file():
        return {**entry, "init_weights": str(folder / weights)}
    return entry


def read_yaml(path: Path) -> dict[str, Any]:
    """Read one YAML file.

    Raises:
        UsageError: it is missing, not YAML, or not a mapping.
    """
    if not path.is_file():
        raise UsageError(f"there is no settings file {path}")
    content = _parse_yaml(path.read_text(encoding="utf-8"), f"{path} is not YAML") or {}
    if not isinstance(content, dict):
        raise UsageError(f"{path} must hold keys and values, not a {type(content).__name__}")
    return content


def _parse_yaml(text: str, problem: str) -> Any:
    try:
        return yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        raise UsageError(f"{problem} ({' '.join(str(error).split())})") from error
