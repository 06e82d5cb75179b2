"""F8: the disk fills while the agent lives, and has room again. Only root may make such a disk."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from agent.ctl import ask
from pamiq_lightning.checkpoint.store import CheckpointError, find_checkpoints
from pamiq_lightning.trainer.checkpointer import read_checkpoint
from tools.faults.outcome import Outcome
from tools.faults.run import PERIOD_MS, Runner

DISK_MB = 96
FULL_S = 15.0
AGAIN_S = 60.0
SAID = "nothing is saved"


def run(trials: int) -> list[Outcome]:
    """Fill the disk so many times."""
    told = Outcome("F8 full disk is told", "once a minute at most, and once at least", 1, "lines")
    intact = Outcome("F8 checkpoints before", "0 unusable", 0, "")
    again = Outcome("F8 saved again", "when there is room", AGAIN_S, "s")
    learns = Outcome("F8 learners that stood still", "0", 0, "")
    tick = Outcome("F8 longest tick", "acting unaffected", PERIOD_MS, "ms")
    with small_disk() as disk:
        run = Runner(disk, "record=false")
        try:
            _wait_until(lambda: len(find_checkpoints(run.folder)) > 0)
            for trial in range(trials):
                if trial:
                    # The next warning is due a minute after the last.
                    time.sleep(60.0 - FULL_S)
                for outcome, value in zip(
                    (told, intact, learns, again), _fill_once(run, disk), strict=True
                ):
                    outcome.values.append(value)
                print(f"F8: saved again after {again.values[-1]:.1f} s", flush=True)
            summary = run.end()
            intact.values.append(float(_unusable(find_checkpoints(run.folder)[:1])))
        finally:
            run.kill()
    tick.values.append(summary["tick_ms"]["max"])
    tick.notes = f"{summary['missed_ticks']} of {summary['ticks']} ticks missed"
    learns.notes = f"{summary['trainer_restarts']} restarts of the trainer"
    return [told, intact, again, learns, tick]


def _fill_once(run: Runner, disk: Path) -> tuple[float, float, float, float]:
    """Fill the disk for a while; return how often that was told, and what came of the rest."""
    before, said = ask(run.folder, "status"), _warnings(run)
    saved = find_checkpoints(run.folder)
    filler = _fill(disk)
    _wait_until(lambda: _warnings(run) > said)
    time.sleep(FULL_S)
    now = ask(run.folder, "status")
    lines, bad = _warnings(run) - said, _unusable(saved)
    filler.unlink()
    began, newest = time.monotonic(), find_checkpoints(run.folder)[0]
    _wait_until(lambda: find_checkpoints(run.folder)[0] != newest)
    return lines, bad, _standing_still(before, now), time.monotonic() - began


@contextmanager
def small_disk(megabytes: int = DISK_MB) -> Iterator[Path]:
    """Mount a disk of its own, in memory.

    Raises:
        PermissionError: only root may.
    """
    with tempfile.TemporaryDirectory(prefix="pamiq-disk-") as folder:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", folder]
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
        if done.returncode:
            raise PermissionError(f"a small disk cannot be mounted: {done.stderr.strip()}")
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", "-l", folder], check=True)


def _fill(disk: Path) -> Path:
    """Take all the room there is."""
    path = disk / "filler"
    with path.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while file.write(bytes(size)) == size:
                    pass
            except OSError:
                continue
    return path


def _warnings(run: Runner) -> int:
    told = ask(run.folder, "status")["told"]
    return sum(SAID in line["text"] for line in told)


def _standing_still(before: dict[str, Any], now: dict[str, Any]) -> int:
    return sum(
        now["learners"][role]["updates"] <= before["learners"][role]["updates"]
        for role in ("encoder", "dynamics", "policy")
    )


def _unusable(folders: list[Path]) -> int:
    bad = 0
    for folder in folders:
        try:
            read_checkpoint(folder)
        except CheckpointError:
            bad += folder.exists()
    return bad


def _wait_until(done: Any, limit_s: float = 120.0) -> None:
    limit = time.monotonic() + limit_s
    while not done():
        if time.monotonic() > limit:
            raise RuntimeError(f"it did not come about within {limit_s:.0f} s")
        time.sleep(0.2)
