"""Run an experiment: a grid of settings x seeds under lockstep, as many runs at once as cores.

    python -m tools.experiments conf/experiments/smoke.yaml
    python -m tools.experiments conf/experiments/T1.yaml --out runs/experiments --jobs 2

Each run is an ordinary run folder. Stopped or killed, the same command goes on: finished runs are
kept, unfinished ones begin again. A run that fails is named and does not stop the others. Then:

    python -m tools.experiments.report conf/experiments/smoke.yaml
"""

from __future__ import annotations

import argparse
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
from pamiq_lightning.utils.cpu import can_pin
from tools.experiments.spec import JOB, Job, Spec, read_spec

LOOK_S = 0.5
STOP_S = 20.0
"""How long a run may take to end when it is told to."""
LOG = "run.log"
_PR_SET_PDEATHSIG = 1


def agent_of(job: Job) -> list[str]:
    """Return the command that lives a job's life."""
    return [sys.executable, "-m", "agent.run", *job.arguments()]


@dataclass
class Running:
    """A run under way on a core of its own."""

    job: Job
    process: subprocess.Popen[bytes]
    core: int


class GridRunner:
    """Runs jobs.

    Args:
        jobs: what is to be run; finished ones are left as they are.
        cores: where; one run on each at a time.
        console: where to say how it goes.
        command: returns what runs a job.
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        cores: Sequence[int],
        console: Console,
        command: Callable[[Job], list[str]] = agent_of,
    ) -> None:
        self.jobs, self._console, self._command = jobs, console, command
        self.done = [job for job in jobs if job.finished()]
        self.waiting = [job for job in jobs if job not in self.done]
        self.failed: list[Job] = []
        self.running = list[Running]()
        self._free = list(cores)

    @property
    def ticks(self) -> int:
        """Ticks lived so far, those of finished runs included."""
        lived = sum(job.ticks for job in [*self.done, *self.failed])
        folders = [running.job.run_folder() for running in self.running]
        return lived + sum(ticks_written(folder) for folder in folders if folder is not None)

    @property
    def busy(self) -> bool:
        """Whether anything is left to do."""
        return bool(self.waiting or self.running)

    def poll(self) -> None:
        """Settle the runs that have ended and begin others where a core is free."""
        for running in [each for each in self.running if each.process.poll() is not None]:
            self.running.remove(running)
            self._free.append(running.core)
            self._settle(running)
        while self._free and self.waiting:
            self._begin(self.waiting.pop(0), self._free.pop(0))

    def _begin(self, job: Job, core: int) -> None:
        # What a run that was killed has left is no beginning of another.
        shutil.rmtree(job.folder, ignore_errors=True)
        job.folder.mkdir(parents=True)
        described = {"point": job.point, "arguments": job.arguments()}
        (job.folder / JOB).write_text(json.dumps(described, indent=1), encoding="utf-8")
        with (job.folder / LOG).open("wb") as log:
            process = subprocess.Popen(
                self._command(job),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
                preexec_fn=(lambda: _stay(core)) if sys.platform != "win32" else None,
            )
        self.running.append(Running(job, process, core))

    def _settle(self, running: Running) -> None:
        job, code = running.job, running.process.returncode
        if code == 0 and job.finished():
            self.done.append(job)
            self._console.print(f"done    {job.name}", highlight=False)
            return
        self.failed.append(job)
        lines = (job.folder / LOG).read_text(encoding="utf-8", errors="replace").split("\n")
        errors = [line for line in lines if line.startswith("error:")]
        why = (errors or [line for line in lines if line.strip()] or ["no word"])[-1]
        self._console.print(f"FAILED  {job.name} (exit code {code}): {why}", highlight=False)
        self._console.print(f"        see {job.folder / LOG}", highlight=False)

    def stop(self) -> None:
        """End what runs; it will begin again next time."""
        for running in self.running:
            running.process.send_signal(signal.SIGINT)
        deadline = time.monotonic() + STOP_S
        for running in self.running:
            try:
                running.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                running.process.kill()
                running.process.wait()


def _stay(core: int) -> None:
    """In the child: stay on a core, and end when the laboratory is killed."""
    if can_pin():
        os.sched_setaffinity(0, {core})
    # Ctrl-C reaches the laboratory alone, which then asks every run to end.
    os.setpgrp()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def check_folders(jobs: Sequence[Job]) -> None:
    """Check that finished runs are of the settings asked for now.

    Raises:
        UsageError: one is not.
    """
    for job in jobs:
        path = job.folder / JOB
        if job.finished() and json.loads(path.read_text())["arguments"] != job.arguments():
            raise UsageError(
                f"{job.folder} holds a finished run of other settings; move it away or use --out"
            )


def run(spec: Spec, out: Path, cores: Sequence[int], console: Console) -> int:
    """Run an experiment to its end; return how many runs failed."""
    jobs = spec.jobs(out)
    check_folders(jobs)
    laboratory = GridRunner(jobs, cores, console)
    total, begun = sum(job.ticks for job in jobs), laboratory.ticks
    console.print(
        f"{spec.name}: {len(jobs)} runs of {spec.ticks} ticks, {len(laboratory.done)} of them "
        f"finished before, {len(cores)} at a time, in {out / spec.name}",
        highlight=False,
    )
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[told]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    started = time.monotonic()
    with Progress(*columns, console=console, speed_estimate_period=300) as progress:
        task = progress.add_task(spec.name, total=total, completed=begun, told="")
        try:
            while laboratory.busy:
                laboratory.poll()
                ticks = laboratory.ticks
                pace = (ticks - begun) / max(time.monotonic() - started, 1e-9)
                told = f"{len(laboratory.done)}/{len(jobs)} runs, {pace:.1f} ticks/s"
                progress.update(task, completed=ticks, told=told)
                time.sleep(LOOK_S)
        finally:
            laboratory.stop()
    for job in laboratory.failed:
        console.print(f"failed: {job.name}", highlight=False)
    return len(laboratory.failed)


def main() -> None:
    """Run the experiment of a file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("spec", type=Path, help="the experiment's file")
    parser.add_argument("--out", type=Path, default=Path("runs/experiments"), help="where runs go")
    parser.add_argument("--jobs", type=int, help="runs at once; default: as many as cores")
    options = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0)) if can_pin() else list(range(os.cpu_count() or 1))
    jobs = options.jobs or len(cores)
    try:
        # More runs than cores share them.
        slots = [cores[n % len(cores)] for n in range(jobs)]
        sys.exit(bool(run(read_spec(options.spec), options.out.resolve(), slots, Console())))
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("Stopped; the same command goes on from here.", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
