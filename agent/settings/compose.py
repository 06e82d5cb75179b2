"""Composes `conf=NAME key=value ...` into one dictionary, before anything heavy is imported.

Layers, the later one wins: learner file, size file, conf (the files it `extends:` first), command
line. Where a later layer names another class_path, the init_args before it are dropped. At last
each `${shapes.latent}` becomes the value it refers to.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

import pamiq_lightning
from agent.errors import UsageError
from agent.run_dir import SETTINGS
from agent.settings.schema import place_of, takes_text
from pamiq_lightning.utils.builtin_types import to_plain
from pamiq_lightning.utils.usage_error import check_names
from pamiq_lightning.utils.yaml_files import Section, parse_value, places_in, read_sections

_ENDINGS = (".yaml", ".yml")


class Composed(dict[str, Any]):
    """Composed settings; `places` has, by dotted key, FILE:LINE of the last file that sets it."""

    places: Mapping[str, str] = {}


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
        UsageError: an argument is not key=value, or its value is empty or not YAML.
    """
    texts: dict[str, str] = {}
    helps = [argument for argument in arguments if argument in ("-h", "--help", "help")]
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if equals and all(key.split(".")) and not key.startswith("-"):
            if not value.strip():
                raise UsageError(f"{argument}: has no value")
            texts[key] = value
        elif argument not in helps:
            raise UsageError(f"expected key=value, got {argument!r} (try --help)")
    resume = texts.pop("resume", None)
    of_run = None if resume in (None, "auto") else str(Path(str(resume)) / SETTINGS)
    conf = texts.pop("conf", of_run or CommandLine.conf)
    return CommandLine(conf, {key: _value(key, texts[key]) for key in texts}, bool(helps), resume)


def format_argument(key: str, value: Any) -> str:
    """Return the argument that `read_command_line` takes for a value."""
    text = takes_text(key) and isinstance(value, str)
    return f"{key}={value if text else json.dumps(value)}"


def _value(key: str, text: str) -> Any:
    """Return the value of a key: of one that takes a text, the text as it is typed."""
    if takes_text(key) and text != "null":
        return text
    try:
        return parse_value(text)
    except UsageError as error:
        raise UsageError(f"{key}={text}: {error}") from error


def conf_name(path: Path) -> str:
    """Return the name of a settings file: all of it, but the .yaml."""
    return path.stem if path.suffix in _ENDINGS else path.name


def conf_files() -> dict[str, Path]:
    """Return the file of every name that `conf=` takes; ./conf goes before the package's own."""
    installed = Path(pamiq_lightning.__file__).parent / "conf"
    shipped = installed if installed.is_dir() else installed.parents[1] / "conf"
    folders = (shipped, Path.cwd() / "conf")
    return {conf_name(path): path for folder in folders for path in folder.glob("*.yaml")}


def compose(command: CommandLine, default_size: Callable[[], str]) -> Composed:
    """Return the settings as one plain dictionary that knows where they stand.

    Args:
        command: what the user typed.
        default_size: returns the size where neither conf nor command line names one; may be slow.

    Raises:
        UsageError: a file is missing, is not YAML, or includes itself; a conf, a size or a
            learner's role is unknown; a `${...}` refers to nothing.
    """
    path = Path(command.conf)
    if path.suffix not in _ENDINGS:
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
    settings: Any = reduce(merge, (read_sections(file) for file in shapes if file.is_file()), {})
    for folder, layer in layers:
        if isinstance(learners := layer.get("learners"), dict):
            for role in learners:
                learners[role] = _load_learner(learners[role], folder, size)
        settings = merge(settings, layer)
    roles, places = settings.get("learners") or {}, dict(places_in(settings))
    for key, value in {**command.overrides, "size": size}.items():
        parts = reversed(key.split("."))
        settings = merge(settings, reduce(lambda inner, part: {part: inner}, parts, value))
        for name in [*places]:
            if f"{name}.".startswith(f"{key}.") or f"{key}.".startswith(f"{name}."):
                del places[name]
    _check_roles(settings.get("learners") or {}, roles, places)
    return _resolve(settings, places)


def _check_roles(learners: Any, in_files: Any, places: Mapping[str, str]) -> None:
    """Check that the learners stand by role, and the command line adds no role to the files'."""
    for given in (in_files, learners):
        if not isinstance(given, Mapping):
            known = f": {', '.join(sorted(in_files))}" if isinstance(in_files, Mapping) else ""
            at = place_of("learners", places)
            raise UsageError(f"learners={given}{at}: must hold the learners by role{known}")
    check_names("learners.", learners, in_files)


def _resolve(settings: Any, places: Mapping[str, str]) -> Composed:
    """Return the settings with every `${...}` replaced by what it refers to."""
    try:
        resolved = OmegaConf.to_container(OmegaConf.create(to_plain(settings)), resolve=True)
    except OmegaConfBaseException as error:
        where = error.full_key or "settings"
        problem = " ".join(str(error.msg).split())
        raise UsageError(f"{where}{place_of(where, places)}: {problem}") from error
    composed = Composed(resolved)  # type: ignore[arg-type]
    composed.places = places
    return composed


def merge(base: Any, over: Any) -> Any:
    """Merge `over` into `base`, key by key; a new class_path drops the old init_args."""
    if not (isinstance(base, Mapping) and isinstance(over, Mapping)):
        return over
    if "class_path" in over and base.get("class_path") not in (None, over["class_path"]):
        return over
    merged = Section()
    for layer in (base, over):
        merged.places |= getattr(layer, "places", {})
    merged |= base
    for key, value in over.items():
        merged[key] = merge(base.get(key), value)
    return merged


def _layers(path: Path, seen: tuple[Path, ...] = ()) -> Iterator[tuple[Path, Section]]:
    """Read a file and those it extends, these first; each with the folder it lies in."""
    path = path.resolve()
    if path in seen:
        raise UsageError(f"{path} extends itself")
    own = read_sections(path)
    extends, place = own.pop("extends", []), own.places.pop("extends", "")
    parents = [extends] if isinstance(extends, str) else extends
    if not isinstance(parents, list) or not all(isinstance(parent, str) for parent in parents):
        raise UsageError(f"{place}: extends={extends}: must be a file beside this one, or a list")
    for parent in parents:
        yield from _layers(path.parent / parent, (*seen, path))
    yield path.parent, own


def _load_learner(entry: Any, folder: Path, size: str) -> Any:
    """Load a learner's file and its file for the size; find weights beside the file naming them."""
    if isinstance(entry, str):
        path = folder / entry
        sized = path.parents[1] / "sizes" / size / path.name
        learner = merge(read_sections(path), read_sections(sized) if sized.is_file() else {})
        # Only the offline command line reads `data` and `trainer`.
        for key in ("data", "trainer"):
            learner.pop(key, None)
            learner.places.pop(key, None)
        return learner
    weights = entry.get("init_weights") if isinstance(entry, Section) else None
    if isinstance(weights, str) and (folder / weights).is_file():
        entry["init_weights"] = str(folder / weights)
    return entry
