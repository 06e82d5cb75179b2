"""What an experiment runs: a file of settings, axes to cross, and seeds.

For example:
    conf: laboratory.yaml            settings file of every run, relative to this file
    ticks: 20000                     length of every run
    seeds: 5                         seeds 0 to 4 of every point
    seed_overrides: {count_oracle: 3}    but fewer where this is the choice on some axis
    change_at_s: 600                 when the world changes, for the report; omitted if it does not
    set: {scene.init_args.pool: 50}  further settings of every run, keys with dots
    axes:
      world:
        still: {scene.init_args.images_per_second: 0}
        flickering: {scene.init_args.images_per_second: 10}
      reward:
        from: rewards.yaml           choices of a file beside this one
        take: [random, ama]          only these of them; omitted: all
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from agent.errors import UsageError
from agent.settings.compose import format_argument
from agent.settings.schema import convert
from pamiq_lightning.utils.ranges import Count, Range, Seconds
from pamiq_lightning.utils.usage_error import check_names
from pamiq_lightning.utils.yaml_files import places_in, read_sections
from tools.cli import make_parser
from tools.saved_run import find_run, read_summary

JOB = "job.json"
Seeds = Annotated[int, Range(1, 10**4)]


def point_name(point: Mapping[str, str]) -> str:
    """Return the name of a point: its choices."""
    return "-".join(point.values())


@dataclass(frozen=True)
class Job:
    """One run.

    Attributes:
        point: its choice on each axis.
        overrides: further settings, keys with dots.
        folder: of the job; the run folder is below.
    """

    point: dict[str, str]
    seed: int
    conf: Path
    overrides: dict[str, Any]
    folder: Path
    ticks: int

    @property
    def name(self) -> str:
        """Its point and seed."""
        return f"{point_name(self.point)} seed {self.seed}"

    def arguments(self) -> list[str]:
        """Return the arguments of `agent.run`."""
        given = {**self.overrides, "seed": self.seed, "steps": self.ticks}
        pairs = [format_argument(key, value) for key, value in given.items()]
        return [f"conf={self.conf}", f"runs={self.folder}", *pairs]

    def run_folder(self) -> Path | None:
        """Return the run's folder; None before it exists."""
        return find_run(self.folder)

    def finished(self) -> bool:
        """Return whether it ran to its end."""
        folder = self.run_folder()
        summary = read_summary(folder) if folder else None
        return bool(summary and summary["exit_code"] == 0 and summary["ticks"] == self.ticks)


@dataclass
class Spec:
    """An experiment; see this module's docstring."""

    name: str
    conf: Path
    ticks: int
    seeds: int
    axes: dict[str, dict[str, dict[str, Any]]]
    set: dict[str, Any] = field(default_factory=dict)
    seed_overrides: dict[str, int] = field(default_factory=dict)
    change_at_s: float | None = None

    def points(self) -> list[dict[str, str]]:
        """Return every choice of one value on each axis."""
        return [
            dict(zip(self.axes, choices, strict=True))
            for choices in itertools.product(*self.axes.values())
        ]

    def jobs(self, out: Path) -> list[Job]:
        """Return all jobs, first seeds first, so that early results can be compared."""
        jobs = []
        for seed, point in itertools.product(range(self.seeds), self.points()):
            if seed < min(self.seed_overrides.get(name, self.seeds) for name in point.values()):
                overrides = dict(self.set)
                for axis, choice in point.items():
                    overrides |= self.axes[axis][choice]
                folder = out / self.name / point_name(point) / f"seed_{seed}"
                jobs.append(Job(point, seed, self.conf, overrides, folder, self.ticks))
        return jobs


_TYPES: dict[str, Any] = {
    "conf": str,
    "ticks": Count,
    "seeds": Seeds,
    "axes": dict[str, dict[str, Any]],
    "set": dict[str, Any],
    "seed_overrides": dict[str, Seeds],
    "change_at_s": Seconds | None,
}
_NEEDED = ("conf", "ticks", "seeds", "axes")


def read_spec(path: Path) -> Spec:
    """Read an experiment's file.

    Raises:
        UsageError: it is missing, or an entry is wrong.
    """
    section = read_sections(path)
    places = dict(places_in(section))
    check_names(f"{path}: ", section, _TYPES)
    for key in _NEEDED:
        if key not in section:
            raise UsageError(f"{path}: {key} is missing")
    content = {key: convert(_TYPES[key], section[key], key, places) for key in section}
    content["axes"] = {
        axis: _choices(choices, path, f"axes.{axis}", places)
        for axis, choices in content["axes"].items()
    }
    names = {name for choices in content["axes"].values() for name in choices}
    check_names(f"{path}: seed_overrides.", content.get("seed_overrides", {}), names)
    content["conf"] = (path.parent / content["conf"]).resolve()
    if not content["conf"].is_file():
        raise UsageError(f"{path}: conf: there is no {content['conf']}")
    return Spec(path.stem, **content)


def _choices(
    given: Mapping[str, Any], path: Path, key: str, places: Mapping[str, str]
) -> dict[str, dict[str, Any]]:
    """Return the settings of every choice on an axis."""
    if "from" in given:
        section = read_sections(path.parent / convert(str, given["from"], f"{key}.from", places))
        taken = convert(list[Any], given.get("take") or list(section), f"{key}.take", places)
        names = [str(name) for name in taken]
        check_names(f"{path}: {key}.take=", names, section)
        given, places = {name: section[name] for name in names}, dict(places_in(section, f"{key}."))
    # A choice without settings may be empty.
    filled = {name: {} if given[name] is None else given[name] for name in given}
    return {name: convert(dict[str, Any], filled[name], f"{key}.{name}", places) for name in filled}


def spec_parser(doc: str | None) -> argparse.ArgumentParser:
    """Return a parser that takes an experiment's file and the folder of its runs."""
    parser = make_parser(doc)
    parser.add_argument("spec", type=Path, help="the experiment's file")
    parser.add_argument(
        "--out", type=Path, default=Path("runs/experiments"), help="folder of all experiments"
    )
    return parser
