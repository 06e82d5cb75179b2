"""F22: offline tools on a disk that is full, and beside a recording that cannot be written to."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from pamiq_lightning.utils.console import safe_print
from tools.faults.disk import fill
from tools.faults.machine import read_only, small_disk
from tools.faults.outcome import Outcome

ROOT = Path(__file__).parents[2]
DISK_MB = 64
_LOG = (
    "--trainer.logger=pamiq_lightning.offline.csv_log.CSVLog",
    "--trainer.logger.save_dir=runs",
    "--trainer.logger.name=fit",
)
ROOM = 300_000
"""Bytes left on the disk: less than the latents of the recording."""


def run(trials: int) -> list[Outcome]:
    """Run every tool once on each machine; they are hurt in the same way every time."""
    full = Outcome("F22 full disk", "one line, exit code 1, nothing half", 0, "faults")
    locked = Outcome("F22 read-only recording", "trains, cached elsewhere", 0, "faults")
    refused = Outcome("F22 read-only target", "one line, exit code 1", 0, "faults")
    with tempfile.TemporaryDirectory(prefix="pamiq-faults-") as folder:
        run_folder = _record(Path(folder))
        with small_disk(DISK_MB) as disk:
            full.values += _on_a_full_disk(run_folder, disk)
        home = Path(folder) / "home"
        home.mkdir()
        with read_only(run_folder):
            locked.values += _beside_a_recording(run_folder, home)
            refused.values += _into_a_read_only_folder(run_folder, home)
    return [full, locked, refused]


def _record(folder: Path) -> Path:
    settings = ["conf=debug", "clock=lockstep", "steps=640", "trainer.aim=false"]
    _call(["agent.run", *settings, f"runs={folder}"], ROOT).check_returncode()
    (found,) = folder.glob("debug/*")
    return found


def _fit(run_folder: Path) -> list[str]:
    files = [f"conf/{part}/dynamics.yaml" for part in ("learners", "sizes/debug")]
    configs = [word for file in files for word in ("--config", str(ROOT / file))]
    return ["pamiq_lightning", "fit", *configs, "--data.recording", str(run_folder), *_LOG]


def _call(command: list[str], folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a module in a folder, as a person would."""
    variables: Mapping[str, str] = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )


def _faults(done: subprocess.CompletedProcess[str], code: int) -> float:
    """Return how many things a person would not expect of a command that ended."""
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    found = done.returncode != code, "Traceback" in done.stderr, len(lines) != (1 if code else 0)
    if any(found):
        safe_print(f"{done.args}: exit code {done.returncode}\n{done.stderr[-2000:]}")
    return float(sum(found))


def _on_a_full_disk(run_folder: Path, disk: Path) -> list[float | None]:
    copy = disk / "run"
    shutil.copytree(run_folder, copy)
    filler = fill(disk)
    os.truncate(filler, filler.stat().st_size - ROOM)
    before = set(disk.rglob("*"))
    encoder = next(copy.glob("checkpoints/*/encoder.safetensors"))
    commands = [
        _fit(copy),
        ["tools.player", str(copy), "--mp4", str(disk / "film.mp4")],
        ["tools.report", str(copy)],
        ["tools.export_encoder", str(encoder), str(disk / "exported.safetensors")],
    ]
    found: list[float | None] = []
    for number, command in enumerate(commands):
        if number:
            # Full to the last byte.
            filler.unlink()
            fill(disk)
        faults = _faults(_call(command, run_folder.parent), 1)
        left = {path for path in disk.rglob("*") if path.is_file()} - before
        found.append(faults + len(left))
    return found


def _beside_a_recording(run_folder: Path, home: Path) -> list[float | None]:
    elsewhere = {"XDG_CACHE_HOME": str(home)}
    fitted = _call(_fit(run_folder), home, **elsewhere)
    silent = "cannot be written to" not in fitted.stdout
    film = ["tools.player", str(run_folder), "--mp4", str(home / "film.mp4"), "--seconds", "1"]
    return [_faults(fitted, 0) + silent, _faults(_call(film, home, **elsewhere), 0)]


def _into_a_read_only_folder(run_folder: Path, home: Path) -> list[float | None]:
    encoder = next(run_folder.glob("checkpoints/*/encoder.safetensors"))
    commands = [
        _fit(run_folder),
        ["tools.report", str(run_folder)],
        ["tools.export_encoder", str(encoder), str(run_folder / "exported.safetensors")],
        ["tools.player", str(run_folder), "--mp4", str(run_folder / "film.mp4"), "--seconds", "1"],
        ["tools.experiments", str(ROOT / "conf/experiments/smoke.yaml")],
    ]
    return [
        _faults(_call(command, run_folder, XDG_CACHE_HOME=str(home)), 1) for command in commands
    ]
