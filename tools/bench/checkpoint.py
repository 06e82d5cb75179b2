"""What a checkpoint costs, and how soon a life goes on from one, with a large memory.

    python -m tools.bench.checkpoint            a table
    python -m tools.bench.checkpoint --json     one line a figure: name, value, unit, limit, ok

A life at size tiny in the embedded street, whose encoder remembers 100,000 frames (6.2 GB of rows,
which is how much disk this takes for a while). It is born with a short life of its own; its memory
is then filled, and it goes on. Leave the machine alone meanwhile.
"""

from __future__ import annotations

import argparse
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
from tools.bench.limits import Measurement, at_most, measured, print_measurements
from tools.faults.run import Runner

FRAMES, SIDE = 100_000, 144
TINY = ("conf=japan_street", "world=embedded", "size=tiny", "rate=10", "record=false")
CAPACITY = f"learners.encoder.model.init_args.capacity={FRAMES}"
SAVE_EVERY = 20
INTERVAL_S = SAVE_EVERY * 12.8
SAVE_S, FIRST_TICK_S = 2.0, 15.0
BIRTH_S, SETTLE_S, REST_S, SAVES = 40.0, 30.0, 20.0, 5


def measurements(runs: Path, interval_s: float) -> Iterator[Measurement]:
    """Measure everything, in one run folder."""
    folder = _be_born(runs)
    before = _rows_bytes(folder)
    _fill_memory(folder)
    yield measured("rows of the encoder", (_rows_bytes(folder) - before) / 1e9, "GB")
    began = time.monotonic()
    life = Runner(runs, f"resume={folder}", *TINY, CAPACITY, "trainer.save_every=1000000")
    try:
        yield at_most("resume to first tick", time.monotonic() - began, "s", FIRST_TICK_S)
        time.sleep(SETTLE_S)
        missed = _missed(life)
        time.sleep(REST_S)
        undisturbed = _missed(life) - missed
        took, saving = [], 0
        for number in range(SAVES):
            # The last after as many new rows as a save finds in a life left to itself.
            time.sleep(interval_s if number == SAVES - 1 else REST_S)
            missed = _missed(life)
            ask(life.folder, "save")
            took.append(_save_seconds(life.folder)[-1])
            # Whoever was late for the save shows in the tick after it.
            time.sleep(1.0)
            saving += _missed(life) - missed
        yield measured("save soon after another, median", median(took[:-1]), "s")
        yield at_most("save after an interval of rows", took[-1], "s", SAVE_S)
        yield at_most("ticks missed while saving", saving, "ticks", 0)
        yield measured(f"ticks missed in {REST_S:.0f} s without", undisturbed, "ticks")
        newest = find_checkpoints(life.folder)[0]
        size = sum(path.stat().st_size for path in newest.iterdir())
        yield measured("size of a checkpoint without rows", size / 1e6, "MB")
        life.end()
    finally:
        life.kill()


def _be_born(runs: Path) -> Path:
    """Live a short life and return its folder."""
    life = Runner(runs, *TINY, CAPACITY)
    try:
        time.sleep(BIRTH_S)
        life.end()
    finally:
        life.kill()
    return life.folder


def _fill_memory(folder: Path) -> None:
    """Fill the encoder's memory with frames, and write a checkpoint that knows of them."""
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
    files = rows_folder(folder, "encoder").iterdir()
    return sum(path.stat().st_blocks * 512 for path in files)


def _missed(life: Runner) -> int:
    return int(ask(life.folder, "status")["missed_ticks"])


def _save_seconds(folder: Path) -> list[float]:
    told = re.findall(r"^saved \d+ in ([\d.]+) s", (folder / TRAINER_LOG).read_text(), re.M)
    return [float(text) for text in told]


def main() -> int:
    """Print all figures; exit code 1 if a limit is missed."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench.checkpoint", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one line of JSON a figure")
    parser.add_argument("--folder", type=Path, help="where to live; default: the temporary folder")
    parser.add_argument(
        "--interval", type=float, default=INTERVAL_S, help="seconds lived before the last save"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pamiq-bench-", dir=options.folder) as runs:
        return (
            0 if print_measurements(measurements(Path(runs), options.interval), options.json) else 1
        )


if __name__ == "__main__":
    sys.exit(main())
