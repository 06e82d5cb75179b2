from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest
from rich.console import Console

from agent.errors import UsageError
from tools.experiments.__main__ import GridRunner, check_folders
from tools.experiments.spec import JOB, Job

LIFE = """
import json, sys, pathlib
folder = pathlib.Path(sys.argv[1]) / "laboratory" / "now"
folder.mkdir(parents=True)
(folder / "settings.yaml").touch()
if sys.argv[2] == "bad":
    sys.exit("error: no such reward")
(folder / "summary.json").write_text(json.dumps({"exit_code": 0, "ticks": 50}))
"""


def jobs(folder: Path, *names: str) -> list[Job]:
    return [Job({"reward": n}, 0, Path("c"), {}, folder / n, ticks=50) for n in names]


def laboratory(folder: Path, *names: str, cores: int = 2) -> tuple[GridRunner, io.StringIO]:
    told = io.StringIO()

    def command(job: Job) -> list[str]:
        return [sys.executable, "-c", LIFE, str(job.folder), job.point["reward"]]

    made = GridRunner(jobs(folder, *names), [0] * cores, Console(file=told, width=200), command)
    return made, told


def run(made: GridRunner) -> None:
    while made.busy:
        made.poll()
        for running in made.running:
            running.process.wait()


def test_a_failed_run_is_named_and_does_not_stop_the_others(tmp_path: Path) -> None:
    made, told = laboratory(tmp_path, "a", "bad", "b")
    run(made)
    assert [job.name for job in made.done] == ["a seed 0", "b seed 0"]
    assert [job.name for job in made.failed] == ["bad seed 0"]
    assert "FAILED  bad seed 0 (exit code 1): error: no such reward" in told.getvalue()


def test_no_more_runs_at_once_than_cores(tmp_path: Path) -> None:
    made, _ = laboratory(tmp_path, "a", "b", "c", cores=2)
    made.poll()
    assert len(made.running) == 2
    run(made)
    assert len(made.done) == 3


def test_what_is_finished_is_kept_and_what_is_not_begins_again(tmp_path: Path) -> None:
    first, _ = laboratory(tmp_path, "a", "bad")
    run(first)
    summary = tmp_path / "a" / "laboratory" / "now" / "summary.json"
    written = summary.stat().st_mtime_ns
    litter = tmp_path / "bad" / "litter"
    litter.touch()
    again, _ = laboratory(tmp_path, "a", "bad")
    assert again.ticks == 50
    run(again)
    assert summary.stat().st_mtime_ns == written
    assert not litter.exists()


def test_stopping_ends_what_runs_and_leaves_it_unfinished(tmp_path: Path) -> None:
    made, _ = laboratory(tmp_path, "a")
    made._command = lambda job: [sys.executable, "-c", "import signal; signal.pause()"]
    made.poll()
    (running,) = made.running
    made.stop()
    assert running.process.poll() is not None
    assert not running.job.finished()


def test_finished_runs_of_other_settings_are_not_taken_for_these(tmp_path: Path) -> None:
    made, _ = laboratory(tmp_path, "a")
    run(made)
    check_folders(jobs(tmp_path, "a"))
    described = json.loads((tmp_path / "a" / JOB).read_text())
    described["arguments"].append("lr=3")
    (tmp_path / "a" / JOB).write_text(json.dumps(described))
    with pytest.raises(UsageError, match="other settings"):
        check_folders(jobs(tmp_path, "a"))
