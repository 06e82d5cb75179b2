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
import dataclasses
import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent.errors import UsageError
from agent.settings.compose import read_yaml
from pamiq_lightning.utils.usage_error import check_names
from tools.cli import make_parser
from tools.saved_run import find_run, read_summary

JOB = "job.json"


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
        pairs = [f"{key}={json.dumps(value)}" for key, value in given.items()]
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


def _choices(given: Mapping[str, Any], path: Path, axis: str) -> dict[str, dict[str, Any]]:
    """Return the settings of every choice on an axis."""
    if "from" in given:
        known = read_yaml(path.parent / given["from"])
        check_names(f"{path}: axes.{axis}.take=", given.get("take") or (), known)
        given = {name: known[name] for name in given.get("take") or known}
    return {str(name): dict(settings or {}) for name, settings in given.items()}


def read_spec(path: Path) -> Spec:
    """Read an experiment's file.

    Raises:
        UsageError: it is missing, or an entry is wrong.
    """
    content = read_yaml(path)
    known = [item.name for item in dataclasses.fields(Spec) if item.name != "name"]
    check_names(f"{path}: ", content, known)
    for key in ("conf", "ticks", "seeds", "axes"):
        if key not in content:
            raise UsageError(f"{path}: {key} is missing")
    for key in ("ticks", "seeds"):
        if not isinstance(content[key], int) or content[key] < 1:
            raise UsageError(f"{path}: {key}={content[key]}: must be a whole number above 0")
    axes = content["axes"]
    if not isinstance(axes, Mapping) or not all(
        isinstance(axis, Mapping) for axis in axes.values()
    ):
        raise UsageError(f"{path}: axes: must map axes to choices, and those to settings")
    content["axes"] = {axis: _choices(choices, path, axis) for axis, choices in axes.items()}
    names = {name for choices in content["axes"].values() for name in choices}
    check_names(f"{path}: seed_overrides.", content.get("seed_overrides") or {}, names)
    content["conf"] = (path.parent / content["conf"]).resolve()
    if not content["conf"].is_file():
        raise UsageError(f"{path}: conf: there is no {content['conf']}")
    return Spec(path.stem, **content)


def spec_parser(doc: str | None) -> argparse.ArgumentParser:
    """Return a parser that takes an experiment's file and the folder of its runs."""
    parser = make_parser(doc)
    parser.add_argument("spec", type=Path, help="the experiment's file")
    parser.add_argument(
        "--out", type=Path, default=Path("runs/experiments"), help="folder of all experiments"
    )
    return parser
