"""What a checkpoint costs, and how soon a run resumes from one, with a large replay buffer.

    python -m tools.bench.checkpoint
    python -m tools.bench.checkpoint --json

A run at size tiny in the embedded street, whose encoder's buffer holds 100,000 frames (6.2 GB on
disk for a while). A short run makes the folder; its buffer is filled, and the run resumes. Leave
the machine alone meanwhile.
"""

from __future__ import annotations

import re
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import torch

from agent.ctl import ask
from agent.run_dir import TRAINER_LOG
from pamiq_lightning.checkpoint.files import read_values, value_bytes
from pamiq_lightning.checkpoint.store import (
    MANIFEST,
    find_checkpoints,
    rows_folder,
    verify,
    write_checkpoint,
)
from pamiq_lightning.replay.memmap import MemmapRows
from tools.agent_process import ENDLESS, AgentProcess, start_agent
from tools.bench.limits import Measurement, at_most, bench_main, measured

FRAMES, SIDE = 100_000, 144
TINY = (*ENDLESS, "conf=japan_street", "world=embedded", "size=tiny", "rate=10", "record=false")
CAPACITY = f"learners.encoder.model.init_args.capacity={FRAMES}"
SAVE_EVERY = 20
INTERVAL_S = SAVE_EVERY * 12.8
SAVE_S, FIRST_TICK_S = 2.0, 15.0
FIRST_RUN_S, SETTLE_S, REST_S, SAVES = 40.0, 30.0, 20.0, 5


def measurements(folder: str, interval: float) -> Iterator[Measurement]:
    """Yield all, with a run in a new folder below this one."""
    with tempfile.TemporaryDirectory(prefix="pamiq-bench-", dir=folder) as runs:
        yield from measure(Path(runs), interval)


def measure(runs: Path, interval_s: float) -> Iterator[Measurement]:
    """Yield all, in one run folder."""
    with start_agent(runs, *TINY, CAPACITY, "trainer.save_every=1") as first:
        folder = first.folder
        time.sleep(FIRST_RUN_S)
        first.stop()
    before = _rows_bytes(folder)
    _fill_buffer(folder)
    yield measured("rows of the encoder", (_rows_bytes(folder) - before) / 1e9, "GB")
    began = time.monotonic()
    resumed = (f"resume={folder}", *TINY, CAPACITY, "trainer.save_every=1000000")
    with start_agent(runs, *resumed) as agent:
        yield at_most("resume to first tick", time.monotonic() - began, "s", FIRST_TICK_S)
        time.sleep(SETTLE_S)
        missed = _missed(agent)
        time.sleep(REST_S)
        undisturbed = _missed(agent) - missed
        took, saving = [], 0
        for number in range(SAVES):
            # The last after as many new rows as a run has between two saves.
            time.sleep(interval_s if number == SAVES - 1 else REST_S)
            missed = _missed(agent)
            ask(folder, "save")
            took.append(_save_seconds(folder)[-1])
            # A tick that waited for the save is counted with the next one.
            time.sleep(1.0)
            saving += _missed(agent) - missed
        yield measured("save soon after another, median", median(took[:-1]), "s")
        yield at_most("save after an interval of rows", took[-1], "s", SAVE_S)
        yield at_most("ticks missed while saving", saving, "ticks", 0)
        yield measured(f"ticks missed in {REST_S:.0f} s without", undisturbed, "ticks")
        newest = find_checkpoints(folder)[0]
        size = sum(path.stat().st_size for path in newest.iterdir())
        yield measured("size of a checkpoint without rows", size / 1e6, "MB")
        agent.stop()


def _fill_buffer(folder: Path) -> None:
    """Fill the encoder's buffer with frames, and write a checkpoint that counts them."""
    rows = MemmapRows(rows_folder(folder, "encoder"), FRAMES, {"frame": ((3, SIDE, SIDE), "uint8")})
    if rows.allocate(FRAMES) < FRAMES:
        raise OSError(f"{folder}: there is no room for {FRAMES} frames")
    newest = find_checkpoints(folder)[0]
    state = read_values(newest / "encoder.pt")
    length = state["replay"]["length"]
    for start in range(length, FRAMES, length):
        indices = torch.arange(start, min(start + length, FRAMES))
        rows.tensors["frame"][indices] = rows.tensors["frame"][: len(indices)].clone()
        rows.write_checksum(indices, indices)
    rows.flush()
    state["replay"]["length"] = FRAMES
    manifest = verify(newest)
    files = {path.name: path.read_bytes() for path in newest.iterdir() if path.name != MANIFEST}
    files["encoder.pt"] = value_bytes(state)
    about = {key: value for key, value in manifest.items() if key not in ("format", "files")}
    write_checkpoint(folder, files.items(), about)


def _rows_bytes(folder: Path) -> int:
    """Return the disk space that the rows of the encoder take."""
    if sys.platform == "win32":
        raise SystemExit("error: Windows does not report the disk space of a sparse file")
    files = rows_folder(folder, "encoder").iterdir()
    return sum(path.stat().st_blocks * 512 for path in files)


def _missed(agent: AgentProcess) -> int:
    return int(ask(agent.folder, "status")["missed_ticks"])


def _save_seconds(folder: Path) -> list[float]:
    log = (folder / TRAINER_LOG).read_text()
    return [float(text) for text in re.findall(r"^saved \d+ in ([\d.]+) s", log, re.M)]


if __name__ == "__main__":
    bench_main(
        __doc__,
        measurements,
        folder=(tempfile.gettempdir(), "for the run; default: the temporary folder"),
        interval=(INTERVAL_S, "seconds before the last save"),
    )
