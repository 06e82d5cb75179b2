"""F18: the machine refuses what a start needs: shared memory, room on the disk, a folder to write.

Only root may mount what refuses.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from tools.faults.disk import fill
from tools.faults.machine import read_only, small_disk, with_shm
from tools.faults.outcome import Outcome
from tools.faults.subject import short_run

REFUSED = "exit code 1, one line, no folder left"


def run(trials: int) -> list[Outcome]:
    """Start once in each way that cannot work, and in a small /dev/shm, which can."""
    small = Outcome("F18 /dev/shm of 1 MB", "the run works", 0, "exit code")
    small.values.append(float(short_run(with_shm([], "size=1m")).returncode))
    outcomes = [small]
    for name, options in (("full", "size=4k"), ("read-only", "ro")):
        with tempfile.TemporaryDirectory(prefix="pamiq-faults-") as runs:
            done = short_run(with_shm([], options), Path(runs))
            outcomes.append(_judge(f"/dev/shm {name}", done, Path(runs)))
    for room in (0, 40_000):
        with small_disk(1) as disk:
            with fill(disk).open("r+b") as filler:
                filler.truncate((1 << 20) - room)
            done = short_run(runs=disk)
            outcomes.append(_judge(f"disk with {room} bytes left", done, disk))
    with tempfile.TemporaryDirectory(prefix="pamiq-faults-") as runs, read_only(Path(runs)):
        outcomes.append(_judge("runs folder read-only", short_run(runs=Path(runs)), Path(runs)))
    return outcomes


def _judge(name: str, done: subprocess.CompletedProcess[str], runs: Path) -> Outcome:
    """Return how many lines too many there are, and folders left; None if it did not fail so."""
    outcome = Outcome(f"F18 {name}", REFUSED, 0, "too many")
    lines, folders = done.stderr.splitlines(), len([*runs.glob("*/*")])
    errors = [line for line in lines if line.startswith("error: ")]
    refused = done.returncode == 1 and errors and "Traceback" not in done.stderr
    outcome.values.append(float(len(lines) - 1 + folders) if refused else None)
    outcome.notes = errors[0][:200] if errors else f"exit code {done.returncode}: {done.stderr}"
    return outcome
