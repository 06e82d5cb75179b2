"""Run an experiment: a grid of settings x seeds under lockstep, as many runs at once as cores.

    python -m tools.experiments conf/experiments/smoke.yaml
    python -m tools.experiments conf/experiments/T1.yaml --out runs/experiments --jobs 2

Each run is an ordinary run folder. Stopped or killed, the same command resumes: finished runs are
kept, unfinished ones start again. A run that fails is named and does not stop the others. Then:

    python -m tools.experiments.report conf/experiments/smoke.yaml
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from agent.errors import UsageError
from pamiq_lightning.trainer.step_log import ticks_written
from pamiq_lightning.utils.console import print_error, print_failure, safe_stream
from pamiq_lightning.utils.cpu import allowed_cores, can_pin, stay_on
from pamiq_lightning.utils.json_text import json_text
from pamiq_lightning.utils.ranges import Count, option
from tools.experiments.spec import JOB, Job, Spec, read_spec, spec_parser

LOOK_S = 0.5
STOP_S = 20.0
"""How long a run may take to end once it is interrupted."""
LOG = "run.log"
_PR_SET_PDEATHSIG = 1


def agent_command(job: Job) -> list[str]:
    """Return the command of a job's run."""
    return [sys.executable, "-m", "agent.run", *job.arguments()]


@dataclass
class Running:
    """A run in progress on a core of its own."""

    job: Job
    process: subprocess.Popen[bytes]
    core: int


class GridRunner:
    """Runs jobs.

    Args:
        jobs: to be run; finished ones are left as they are.
        cores: one run at a time on each.
        console: where progress is printed.
        command: returns the command of a job.
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        cores: Sequence[int],
        console: Console,
        command: Callable[[Job], list[str]] = agent_command,
    ) -> None:
        self.jobs, self._console, self._command = jobs, console, command
        self.done = [job for job in jobs if job.finished()]
        self.waiting = [job for job in jobs if job not in self.done]
        self.failed: list[Job] = []
        self.running = list[Running]()
        self._free = list(cores)

    @property
    def ticks(self) -> int:
        """Ticks so far, those of finished runs included."""
        ended = sum(job.ticks for job in [*self.done, *self.failed])
        folders = [running.job.run_folder() for running in self.running]
        return ended + sum(ticks_written(folder) for folder in folders if folder is not None)

    @property
    def busy(self) -> bool:
        """Whether any job is left."""
        return bool(self.waiting or self.running)

    def poll(self) -> None:
        """Collect the runs that have ended and start others on free cores."""
        for running in [each for each in self.running if each.process.poll() is not None]:
            self.running.remove(running)
            self._free.append(running.core)
            self._collect(running)
        while self._free and self.waiting:
            self._start(self.waiting.pop(0), self._free.pop(0))

    def _start(self, job: Job, core: int) -> None:
        # Leftovers of a killed run are removed.
        shutil.rmtree(job.folder, ignore_errors=True)
        job.folder.mkdir(parents=True)
        described = {"point": job.point, "arguments": job.arguments()}
        (job.folder / JOB).write_text(json_text(described, indent=1), encoding="utf-8")
        with (job.folder / LOG).open("wb") as log:
            process = subprocess.Popen(
                self._command(job),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
                preexec_fn=(lambda: _set_up_child(core)) if sys.platform != "win32" else None,
            )
        self.running.append(Running(job, process, core))

    def _collect(self, running: Running) -> None:
        job, code = running.job, running.process.returncode
        if code == 0 and job.finished():
            self.done.append(job)
            self._console.print(f"done    {job.name}", highlight=False)
            return
        self.failed.append(job)
        lines = (job.folder / LOG).read_text(encoding="utf-8", errors="replace").split("\n")
        errors = [line for line in lines if line.startswith("error:")]
        why = (errors or [line for line in lines if line.strip()] or ["no output"])[-1]
        self._console.print(f"FAILED  {job.name} (exit code {code}): {why}", highlight=False)
        self._console.print(f"        see {job.folder / LOG}", highlight=False)

    def stop(self) -> None:
        """End all runs in progress; they start again next time."""
        for running in self.running:
            running.process.terminate()
        deadline = time.monotonic() + STOP_S
        for running in self.running:
            try:
                running.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                running.process.kill()
                running.process.wait()


def _set_up_child(core: int) -> None:
    """In the child: stay on a core, and end when the parent is killed."""
    if can_pin():
        stay_on(core)
    if sys.platform != "win32":
        # Ctrl-C reaches only the parent, which then interrupts every run.
        os.setpgrp()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def check_folders(jobs: Sequence[Job]) -> None:
    """Check that finished runs have the settings of their jobs.

    Raises:
        UsageError: one has others.
    """
    for job in jobs:
        if job.finished() and _arguments_in(job.folder / JOB) != job.arguments():
            raise UsageError(
                f"{job.folder} holds a finished run of other settings, or its {JOB} is damaged; "
                "move it away or use --out"
            )


def _arguments_in(path: Path) -> list[str] | None:
    """Return the arguments of the run that a job file describes; None if it is damaged."""
    try:
        content: dict[str, list[str]] = json.loads(path.read_text(encoding="utf-8"))
        return content["arguments"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def run(spec: Spec, out: Path, cores: Sequence[int], console: Console) -> int:
    """Run an experiment to its end; return how many runs failed."""
    jobs = spec.jobs(out)
    check_folders(jobs)
    runner = GridRunner(jobs, cores, console)
    total, before = sum(job.ticks for job in jobs), runner.ticks
    console.print(
        f"{spec.name}: {len(jobs)} runs of {spec.ticks} ticks, {len(runner.done)} of them "
        f"finished before, {len(cores)} at a time, in {out / spec.name}",
        highlight=False,
    )
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[status]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    started = time.monotonic()
    with Progress(*columns, console=console, speed_estimate_period=300) as progress:
        task = progress.add_task(spec.name, total=total, completed=before, status="")
        try:
            while runner.busy:
                runner.poll()
                ticks = runner.ticks
                pace = (ticks - before) / max(time.monotonic() - started, 1e-9)
                status = f"{len(runner.done)}/{len(jobs)} runs, {pace:.1f} ticks/s"
                progress.update(task, completed=ticks, status=status)
                time.sleep(LOOK_S)
        finally:
            runner.stop()
    for job in runner.failed:
        console.print(f"failed: {job.name}", highlight=False)
    return len(runner.failed)


def main() -> None:
    """Run the experiment of a file."""
    parser = spec_parser(__doc__)
    parser.add_argument("--jobs", type=option(Count), help="runs at once; default: one per core")
    options = parser.parse_args()
    cores = allowed_cores()
    jobs = options.jobs or len(cores)
    try:
        # More runs than cores share them.
        slots = [cores[n % len(cores)] for n in range(jobs)]
        console = Console(file=safe_stream())
        sys.exit(bool(run(read_spec(options.spec), options.out.resolve(), slots, console)))
    except UsageError as error:
        sys.exit(print_failure(error, 2))
    except KeyboardInterrupt:
        print_error("Stopped; the same command resumes.")
        sys.exit(130)


if __name__ == "__main__":
    main()
