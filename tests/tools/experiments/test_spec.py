from __future__ import annotations

import json
from pathlib import Path

import pytest

from agent.errors import UsageError
from agent.lifecycle.build import build_curiosity
from agent.settings.compose import compose, read_command_line
from agent.settings.schema import parse
from agent.worlds.factory import resolve_scene
from tools.experiments.spec import Job, read_spec

HERE = Path(__file__).resolve().parents[3] / "conf" / "experiments"
SPECS = sorted(p for p in HERE.glob("*.yaml") if p.stem not in ("laboratory", "rewards"))


def write(folder: Path, text: str) -> Path:
    (folder / "base.yaml").write_text("seed: 0\n")
    (folder / "rewards.yaml").write_text("a: {x.y: 1}\nb:\nc: {x.y: 3}\n")
    path = folder / "my.yaml"
    path.write_text(text)
    return path


GRID = """
conf: base.yaml
ticks: 100
seeds: 3
seed_overrides: {c: 1}
set: {x.y: 0, w: 7}
axes:
  world: {still: {v: 0}, moving: {v: 1}}
  reward: {from: rewards.yaml, take: [c, b]}
"""


def test_jobs_are_every_point_with_every_seed(tmp_path: Path) -> None:
    jobs = read_spec(write(tmp_path, GRID)).jobs(tmp_path)
    assert [job.name for job in jobs] == [
        *("still-c seed 0", "still-b seed 0", "moving-c seed 0", "moving-b seed 0"),
        *("still-b seed 1", "moving-b seed 1", "still-b seed 2", "moving-b seed 2"),
    ]
    # An axis takes precedence over `set`.
    assert jobs[0].overrides == {"x.y": 3, "w": 7, "v": 0}
    assert jobs[0].arguments()[2:] == ["x.y=3", "w=7", "v=0", "seed=0", "steps=100"]
    assert len({job.folder for job in jobs}) == len(jobs)


@pytest.mark.parametrize(
    "change, words",
    [
        (("ticks: 100", "tics: 100"), "ticks"),
        (("ticks: 100", "ticks: many"), "ticks=many"),
        (("seeds: 3", ""), "seeds is missing"),
        (("{c: 1}", "{d: 1}"), r"seed_overrides\.d"),
        (("take: [c, b]", "take: [c, e]"), r"axes\.reward\.take=e: "),
        (("conf: base.yaml", "conf: nowhere.yaml"), "nowhere"),
        (("{v: 1}}", "{v: 1}}\n  odd: 3"), "axes"),
    ],
)
def test_wrong_entries_are_named(tmp_path: Path, change: tuple[str, str], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        read_spec(write(tmp_path, GRID.replace(*change)))


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_shipped_experiments_compose_and_build(path: Path) -> None:
    for job in read_spec(path).jobs(Path("out")):
        if job.seed == 0:
            composed = compose(read_command_line(job.arguments()), lambda: "tiny")
            settings = parse(composed)
            # As a run does: once for the settings, and again to enter.
            resolve_scene(settings)
            resolve_scene(settings)
            build_curiosity(settings)
            assert settings.clock == "lockstep" and settings.trainer.step_log
            assert settings.steps == job.ticks


def test_a_job_is_finished_when_its_summary_says_so(tmp_path: Path) -> None:
    job = Job({"reward": "a"}, 0, Path("c"), {}, tmp_path, ticks=50)
    assert not job.finished() and job.run_folder() is None
    folder = tmp_path / "laboratory" / "now"
    folder.mkdir(parents=True)
    (folder / "settings.yaml").touch()
    assert job.run_folder() == folder and not job.finished()
    for summary, finished in (
        ({"exit_code": 1, "ticks": 50}, False),
        ({"exit_code": 0, "ticks": 49}, False),
        ({"exit_code": 0, "ticks": 50}, True),
    ):
        (folder / "summary.json").write_text(json.dumps(summary))
        assert job.finished() is finished
