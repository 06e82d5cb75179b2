from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from agent.errors import UsageError
from tools.experiments.__main__ import GridRunner, check_folders
from tools.experiments.spec import JOB, Job

RUN = """
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


def fake_run(job: Job) -> list[str]:
    return [sys.executable, "-c", RUN, str(job.folder), job.point["reward"]]


def endless_run(job: Job) -> list[str]:
    return [sys.executable, "-c", "import signal; signal.pause()"]


def grid(
    folder: Path, *names: str, cores: int = 2, command: Callable[[Job], list[str]] = fake_run
) -> tuple[GridRunner, io.StringIO]:
    output = io.StringIO()
    console = Console(file=output, width=200)
    return GridRunner(jobs(folder, *names), [0] * cores, console, command), output


def run(runner: GridRunner) -> None:
    while runner.busy:
        runner.poll()
        for running in runner.running:
            running.process.wait()


def test_a_failed_run_is_named_and_does_not_stop_the_others(tmp_path: Path) -> None:
    runner, output = grid(tmp_path, "a", "bad", "b")
    run(runner)
    assert [job.name for job in runner.done] == ["a seed 0", "b seed 0"]
    assert [job.name for job in runner.failed] == ["bad seed 0"]
    assert "FAILED  bad seed 0 (exit code 1): error: no such reward" in output.getvalue()


def test_at_most_one_run_per_core_at_once(tmp_path: Path) -> None:
    runner, _ = grid(tmp_path, "a", "b", "c", cores=2)
    runner.poll()
    assert len(runner.running) == 2
    run(runner)
    assert len(runner.done) == 3


def test_finished_runs_are_kept_and_others_start_again(tmp_path: Path) -> None:
    first, _ = grid(tmp_path, "a", "bad")
    run(first)
    summary = tmp_path / "a" / "laboratory" / "now" / "summary.json"
    written = summary.stat().st_mtime_ns
    litter = tmp_path / "bad" / "litter"
    litter.touch()
    again, _ = grid(tmp_path, "a", "bad")
    assert again.ticks == 50
    run(again)
    assert summary.stat().st_mtime_ns == written
    assert not litter.exists()


def test_stop_ends_runs_and_leaves_them_unfinished(tmp_path: Path) -> None:
    runner, _ = grid(tmp_path, "a", command=endless_run)
    runner.poll()
    (running,) = runner.running
    runner.stop()
    assert running.process.poll() is not None
    assert not running.job.finished()


def test_finished_runs_of_other_settings_are_refused(tmp_path: Path) -> None:
    runner, _ = grid(tmp_path, "a")
    run(runner)
    check_folders(jobs(tmp_path, "a"))
    described = json.loads((tmp_path / "a" / JOB).read_text())
    described["arguments"].append("lr=3")
    (tmp_path / "a" / JOB).write_text(json.dumps(described))
    with pytest.raises(UsageError, match="other settings"):
        check_folders(jobs(tmp_path, "a"))
