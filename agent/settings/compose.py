"""Composes `conf=NAME key=value ...` into one dictionary, before anything heavy is imported.

Layers, the later one wins: learner file, size file, conf (the files it `extends:` first), command
line. Where a later layer names another class_path, the init_args before it are dropped. At last
each `${shapes.latent}` becomes the value it refers to.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
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
from pamiq_lightning.utils.usage_error import unknown_name


class _Loader(yaml.SafeLoader):
    """YAML 1.1, but 1e-4 is a number and off is a word, as in YAML 1.2."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for _tag, _pattern, _first in (
    ("bool", "(true|True|TRUE|false|False|FALSE)", "tTfF"),
    ("float", r"[-+]?(\d[\d_]*\.?[\d_]*|\.\d[\d_]*)[eE][-+]?\d+", "-+0123456789."),
):
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(f"^{_pattern}$"), list(_first)
    )


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
    wants_help = False
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if argument in ("-h", "--help", "help"):
            wants_help = True
        elif not equals or not key or key.startswith("-"):
            raise UsageError(f"expected key=value, got {argument!r} (try --help)")
        else:
            pairs[key] = _parse_yaml(value, f"{key}={value}: is not a value in YAML")
    resume = pairs.pop("resume", None)
    conf = CommandLine.conf
    if resume not in (None, "auto"):
        conf = str(Path(str(resume)) / SETTINGS)
    conf = pairs.pop("conf", conf)
    return CommandLine(str(conf), pairs, wants_help, None if resume is None else str(resume))


def conf_folders() -> list[Path]:
    """Return where settings files are looked for: ./conf, then the package's own copy."""
    installed = Path(pamiq_lightning.__file__).parent / "conf"
    checkout = installed.parents[1] / "conf"
    folders = [Path.cwd() / "conf", installed if installed.is_dir() else checkout]
    return [folder for folder in folders if folder.is_dir()]


def conf_names() -> list[str]:
    """Return every name that `conf=` takes."""
    return sorted({path.stem for folder in conf_folders() for path in folder.glob("*.yaml")})


def find_conf(name: str) -> Path:
    """Return the file of a conf name, or of a path, such as the settings.yaml of a run.

    Raises:
        UsageError: there is none; the message names the nearest.
    """
    if name.endswith((".yaml", ".yml")) and Path(name).is_file():
        return Path(name)
    for folder in conf_folders():
        if (folder / f"{name}.yaml").is_file():
            return folder / f"{name}.yaml"
    raise UsageError(f"conf={name}: {unknown_name(name, conf_names())}")


def compose(command: CommandLine, default_size: Callable[[], str]) -> dict[str, Any]:
    """Return the settings as one plain dictionary.

    Args:
        command: what the user typed.
        default_size: returns the size where neither conf nor command line names one; may be slow.

    Raises:
        UsageError: a file is missing, is not YAML, or includes itself; a size or a learner's role
            is unknown; a `${...}` refers to nothing.
    """
    path = find_conf(command.conf)
    # The size decides which files are included, so it is read before them.
    size = str(command.overrides.get("size") or _load(path, None).get("size") or default_size())
    settings = _load(path, size)
    if path.name == SETTINGS and settings.get("size") != size:
        raise UsageError(
            f"size={size}: {path} has all sizes of {settings.get('size')} written out; begin from "
            "a conf instead"
        )
    roles = settings.get("learners") or {}
    for key, value in command.overrides.items():
        settings = merge(
            settings, reduce(lambda inner, part: {part: inner}, key.split(".")[::-1], value)
        )
    learners = settings.get("learners") or {}
    if not isinstance(learners, Mapping):
        raise UsageError(f"learners={learners}: must hold {', '.join(sorted(roles))}")
    for role in learners:
        if role not in roles:
            raise UsageError(f"learners.{role}: {unknown_name(role, roles)}")
    try:
        config = OmegaConf.create({**settings, "size": size})
        return dict(OmegaConf.to_container(config, resolve=True))  # type: ignore[arg-type]
    except OmegaConfBaseException as error:
        raise UsageError(f"{error.full_key}: {error.msg}") from error


def merge(base: Any, over: Any) -> Any:
    """Merge `over` into `base`, key by key; a new class_path drops the old init_args."""
    if not (isinstance(base, Mapping) and isinstance(over, Mapping)):
        return over
    if "class_path" in over and base.get("class_path") not in (None, over["class_path"]):
        return dict(over)
    merged = dict(base)
    for key, value in over.items():
        merged[key] = merge(base[key], value) if key in base else value
    return merged


def _load(path: Path, size: str | None, seen: tuple[Path, ...] = ()) -> dict[str, Any]:
    """Load a file with all it extends and includes; without a size, learners are left out."""
    path = path.resolve()
    if path in seen:
        raise UsageError(f"{path} extends itself")
    own = read_yaml(path)
    settings: dict[str, Any] = {}
    extends = own.pop("extends", [])
    for parent in [extends] if isinstance(extends, str) else extends:
        settings = merge(settings, _load(path.parent / parent, size, (*seen, path)))
    learners = own.get("learners")
    if size is None:
        own.pop("learners", None)
    elif isinstance(learners, Mapping):
        own["learners"] = {}
        for role, entry in learners.items():
            if isinstance(entry, str):
                entry, shapes = _load_learner(path.parent / entry, size)
                settings = merge(shapes, settings)
            elif isinstance(entry, Mapping) and isinstance(start := entry.get("init_weights"), str):
                # Weights are looked for beside the file that names them, else where it says.
                beside = path.parent / start
                entry = {**entry, "init_weights": str(beside if beside.is_file() else start)}
            own["learners"][role] = entry
    settings = merge(settings, own)
    return settings


def _load_learner(path: Path, size: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Load a learner's file with its file for the size, and that size's shapes."""
    learner, folder, shapes = read_yaml(path), path.parents[1] / "sizes" / size, {}
    if folder.parent.is_dir() and not folder.is_dir():
        known = [other.name for other in folder.parent.iterdir()]
        raise UsageError(f"size={size}: {unknown_name(size, known)}")
    if (folder / path.name).is_file():
        learner = merge(learner, read_yaml(folder / path.name))
    if (folder / "shapes.yaml").is_file():
        shapes = read_yaml(folder / "shapes.yaml")
    # The offline command line alone reads `data` and `trainer`.
    return {key: learner[key] for key in learner if key not in ("data", "trainer")}, shapes


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
