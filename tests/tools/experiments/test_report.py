from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from agent.errors import UsageError
from agent.worlds.embedded.lockstep import LockstepWorld
from agent.worlds.embedded.scenes.food_room import FoodRoom
from agent.worlds.embedded.simulation import INFO_NAMES
from pamiq_lightning.exchange.rollouts import Rollout
from pamiq_lightning.trainer.step_log import StepLog
from tests.synthetic import SHAPE, arrays
from tools.experiments.report import Results, write
from tools.experiments.spec import Job, Spec

pytest.importorskip("matplotlib")
ROOM = {"class_path": "agent.worlds.embedded.scenes.food_room.FoodRoom", "init_args": {}}


def live(job: Job, ticks: int, forward: bool) -> None:
    """Write a run of an agent that always or never walks."""
    folder = job.folder / "laboratory" / "now"
    folder.mkdir(parents=True)
    (folder / "settings.yaml").write_text(
        yaml.safe_dump({"scene": ROOM, "seed": job.seed, "rate": 10.0})
    )
    world, steps = LockstepWorld(FoodRoom(), 16, job.seed, 10.0), arrays(ticks)
    steps["info"] = np.zeros((ticks, len(INFO_NAMES)), np.float32)
    steps["action"][:] = [int(forward), 0, 0, 0, 0]
    for tick in range(ticks):
        _, steps["info"][tick] = world.observe()
        world.act(steps["action"][tick])
    shape = type(SHAPE)(
        SHAPE.frame_size, SHAPE.latent, SHAPE.state, SHAPE.action_choices, INFO_NAMES
    )
    StepLog(folder, shape)(Rollout(0, steps, {}))
    summary = {"exit_code": 0, "ticks": job.ticks}
    (folder / "summary.json").write_text(json.dumps(summary))


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_report_has_two_points_and_counts_missing_runs(tmp_path: Path) -> None:
    axes = {"reward": {"random": {}, "walk": {}}}
    spec = Spec("two_points", Path("c"), ticks=80, seeds=2, axes=axes)
    jobs = spec.jobs(tmp_path)
    for job in jobs[:3]:
        live(job, 80, forward=job.point["reward"] == "walk")
    results = Results(spec, tmp_path)
    assert results.missing == 1
    write(results, tmp_path / "report")
    report = tmp_path / "report"
    runs = rows(report / "runs.csv")
    assert [(row["point"], row["seed"]) for row in runs] == [
        ("random", "0"), ("random", "1"), ("walk", "0"),
    ]  # fmt: skip
    assert float(runs[2]["coverage"]) > float(runs[0]["coverage"]) > 0
    table = {(row["point"], row["metric"]): row for row in rows(report / "table.csv")}
    assert float(table["walk", "x_random"]["middle"]) > 2
    assert table["random", "coverage"]["seeds"] == "2"
    behaviour = rows(report / "behaviour.csv")
    assert behaviour[0]["still"] == "2" and behaviour[1]["forward/back only"] == "1"
    for name in ("coverage", "regions", "visits", "reward_map", "film_walk"):
        assert (report / f"{name}.png").stat().st_size > 1000
    assert "| walk | 1 |" in (report / "table.md").read_text()


def test_report_without_a_finished_run_is_refused(tmp_path: Path) -> None:
    spec = Spec("none", Path("c"), ticks=80, seeds=2, axes={"reward": {"random": {}}})
    with pytest.raises(UsageError, match="no finished run"):
        Results(spec, tmp_path)
