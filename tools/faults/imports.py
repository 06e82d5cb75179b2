"""F21: an import of videos meets a full disk, or is killed; then it is tried again."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import av
import numpy as np
from av.video import VideoStream

from pamiq_lightning.recording.reader import RecordingReader
from tools.agent_process import wait_until
from tools.faults.machine import small_disk
from tools.faults.outcome import Outcome

DISK_MB = 2
SIDE, FRAMES, FPS = 144, 600, 10
"""A minute of noise, which takes more than the small disk."""
LIMIT_S = 60.0


def run(trials: int) -> list[Outcome]:
    """Import on a full disk, kill an import and repeat it, in every trial."""
    full = Outcome("F21 import on a full disk", "exit code 1, one line, 0 files left", 0, "files")
    killed = Outcome("F21 import again after kill -9", "0 steps missing", 0, "steps")
    with tempfile.TemporaryDirectory() as folder:
        film = _film(Path(folder) / "noise.mp4")
        for trial in range(trials):
            with small_disk(DISK_MB) as disk:
                full.values.append(_fill(film, disk / "out", full))
            killed.values.append(_kill_and_repeat(film, Path(folder) / str(trial)))
    return [full, killed]


def _film(path: Path) -> Path:
    rng = np.random.default_rng(0)
    with av.open(str(path), "w") as film:
        stream = film.add_stream("libx264", rate=FPS, options={"preset": "ultrafast"})
        assert isinstance(stream, VideoStream)
        stream.width = stream.height = SIDE
        for _ in range(FRAMES):
            noise = rng.integers(0, 256, (SIDE, SIDE, 3), np.uint8)
            film.mux(stream.encode(av.VideoFrame.from_ndarray(noise, format="rgb24")))
        film.mux(stream.encode(None))
    return path


def _command(film: Path, out: Path) -> list[str]:
    return [sys.executable, "-m", "tools.import_videos", str(film), "--out", str(out)]


def _fill(film: Path, out: Path, outcome: Outcome) -> float | None:
    """Return how many files are left; None where the import does not say what is wrong."""
    done = subprocess.run(_command(film, out), capture_output=True, text=True, check=False)
    lines = done.stderr.splitlines()
    outcome.notes = lines[-1] if lines else "no message"
    if done.returncode != 1 or len(lines) != 1:
        return None
    return float(len(list(out.parent.iterdir())))


def _kill_and_repeat(film: Path, out: Path) -> float | None:
    """Return how many steps the second import lacks; None where it fails."""
    with subprocess.Popen(_command(film, out), stdout=subprocess.DEVNULL) as process:
        part = out.with_name(f"{out.name}.part")
        began = wait_until(lambda: any(part.rglob("*.mp4")), LIMIT_S, 0.01)
        process.kill()
    if not began or out.exists() or subprocess.run(_command(film, out), check=False).returncode:
        return None
    return float(FRAMES - len(RecordingReader(out)))
