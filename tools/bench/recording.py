"""What a run's memory on disk costs: recordings, by their size, quality and speed.

    python -m tools.bench.recording            a table
    python -m tools.bench.recording --json     one line a figure: name, value, unit, limit, ok

The steps are of the embedded street at 144 x 144 and 10 Hz, the actions uniformly random: nearly
every frame is seen from elsewhere than the one before, which is the hardest there is to compress.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from numpy.typing import NDArray

from agent.actions import ACTIONS, CHOICES
from agent.lifecycle.recorder import Recorder
from agent.run_dir import RECORDING
from agent.worlds.embedded.make import make_world
from agent.worlds.embedded.scenes.base import Scene
from agent.worlds.embedded.scenes.food_room import FoodRoom
from agent.worlds.embedded.scenes.street import Street
from pamiq_lightning.exchange.rollouts import AGENT_METRICS, RolloutsSpec, RolloutWriter
from pamiq_lightning.exchange.status_board import StatusBoard, StatusBoardSpec
from pamiq_lightning.learners.base import Learner
from pamiq_lightning.offline.datamodule import TrainingRounds
from pamiq_lightning.offline.dataset import RecordingDataset
from pamiq_lightning.offline.eyes import FrozenEncoders
from pamiq_lightning.recording.reader import RecordingReader
from pamiq_lightning.recording.schema import DatasetSpec
from pamiq_lightning.recording.settings import RecordingSettings
from pamiq_lightning.recording.writer import RecordingWriter, size_of
from pamiq_lightning.replay.base import training_round
from pamiq_lightning.replay.factory import make_replay
from pamiq_lightning.step import StepShape
from pamiq_lightning.trainer.update import Updater
from pamiq_lightning.utils.instantiate import build
from tools.bench.limits import Measurement, at_least, at_most, measured, print_measurements
from tools.bench.timing import compare
from tools.bench.variants import read_settings

SIZE, RATE, WINDOW = 144, 10, 128
HOUR = 3600 * RATE
SHAPE = StepShape(SIZE, (36, 32), (3, 256), CHOICES)

Steps = dict[str, NDArray[Any]]


def plan_of(info_names: tuple[str, ...], lossless: bool = False) -> DatasetSpec:
    """Return the plan of a recording of the embedded world."""
    names = tuple(axis.name for axis in ACTIONS)
    return DatasetSpec(float(RATE), SIZE, CHOICES, names, info_names, WINDOW, lossless)


def live(place: Scene, count: int) -> tuple[tuple[str, ...], list[Steps]]:
    """Return windows of steps lived in a place by a random policy; the rest is made up."""
    world = make_world(place, SIZE, 0, "lockstep", RATE)
    random = np.random.default_rng(0)
    shape = dataclasses.replace(SHAPE, info_names=world.info_names)
    rollouts = []
    for number in range(count):
        steps = {
            key: np.zeros((WINDOW, *field.shape), field.dtype)
            for key, field in shape.fields().items()
        }
        for row in range(WINDOW):
            steps["frame"][row], steps["info"][row] = world.observe()
            steps["action"][row] = random.integers(0, CHOICES)
            world.act(steps["action"][row])
        steps["index"] = np.arange(WINDOW) + WINDOW * number
        steps["time"] = steps["index"] / RATE + random.normal(0, 1e-3, WINDOW)
        steps["is_first"][0], steps["valid"][:] = number == 0, True
        for key in ("log_prob", "value", "reward"):
            steps[key] = random.normal(size=WINDOW).astype(np.float32)
        rollouts.append(steps)
    world.close()
    return world.info_names, rollouts


def psnr(lived: NDArray[np.uint8], kept: NDArray[np.uint8]) -> float:
    """Return the peak signal-to-noise ratio (dB) of all pixels together, red, green and blue."""
    error = np.square(lived.astype(np.float32) - kept).mean(dtype=np.float64)
    return float(10 * np.log10(255**2 / error)) if error else math.inf


def write(folder: Path, spec: DatasetSpec, rollouts: list[Steps], crf: int) -> Path:
    """Record windows; return the folder."""
    writer = RecordingWriter(folder, spec, crf)
    for steps in rollouts:
        writer.write(steps)
    writer.close()
    return folder


def quality(folder: Path, rollouts: list[Steps]) -> tuple[float, float]:
    """Return MB an hour and PSNR of a recording."""
    rows = len(rollouts) * WINDOW
    kept = RecordingReader(folder).read(0, rows)["frame"]
    lived = np.concatenate([steps["frame"] for steps in rollouts])
    return size_of(folder) / rows * HOUR / 1e6, psnr(lived, kept)


def share_of_a_core(folder: Path, spec: DatasetSpec, rollouts: list[Steps], count: int) -> float:
    """Return the processor time (% of a core) of a recorder that is fed at the pace of a life."""
    shape = dataclasses.replace(SHAPE, info_names=spec.info_names)
    writer = RolloutWriter(RolloutsSpec(folder / "rollouts", shape, WINDOW))
    board = StatusBoard(StatusBoardSpec(folder / "board", ()), create=True)
    recorder = Recorder(
        writer.spec, board.spec, folder / RECORDING, spec, RecordingSettings(max_gb=1.0)
    )
    process = psutil.Process(recorder.pid)
    # The first window comes with what happens once: imports, and the files' beginnings.
    for number in range(count + 1):
        for row in range(WINDOW):
            writer.write({key: values[row] for key, values in rollouts[number].items()})
        writer.commit(dict.fromkeys(AGENT_METRICS, 0.0))
        if number == 1:
            began, used = time.monotonic(), sum(process.cpu_times()[:2])
        time.sleep(WINDOW / RATE)
    share = (sum(process.cpu_times()[:2]) - used) / (time.monotonic() - began)
    board.request_stop()
    recorder.join()
    return 100 * share


def updates(folder: Path) -> float:
    """Return I-JEPA's updates/s from a recording, over those on the same windows in memory."""
    torch.manual_seed(0)
    dataset = RecordingDataset(folder, FrozenEncoders())
    rows = np.ones(len(dataset), np.bool_)
    in_memory = list(dataset.rollouts(rows, {"frame"}))

    # Of size tiny, as it is set.
    settings = read_settings(["conf=japan_street", "size=tiny"], frozen=False)
    model = settings.learners["encoder"].model

    def train(batches: Callable[[Learner], Iterator[Any]]) -> Callable[[], None]:
        updater = Updater(build(Learner, model), "cpu", "32-true")

        def job() -> None:
            for batch in batches(updater.learner):
                updater.update(batch)

        return job

    def remembered(learner: Learner) -> Iterator[Any]:
        replay = make_replay(learner.replay)
        for steps in in_memory:
            yield from training_round(learner, replay, [steps])

    memory, disk = compare(
        train(remembered),
        train(lambda learner: iter(TrainingRounds(learner, [dataset]))),
        tries=3,
    )
    return memory / disk


def recordings(seconds: float) -> Iterator[Measurement]:
    """Yield the figures of recordings."""
    settings = RecordingSettings()
    with tempfile.TemporaryDirectory(prefix="pamiq-memory-") as there:
        folder = Path(there)
        names, street = live(Street(), int(seconds * RATE) // WINDOW)
        spec = plan_of(names)
        recording = write(folder / "street", spec, street, settings.crf)
        size, ratio = quality(recording, street)
        yield at_most("recording of the street", size, "MB/hour", 30.0)
        yield at_least("PSNR of the street", ratio, "dB", 32.0)
        for crf in (34, 40):
            size, ratio = quality(write(folder / f"{crf}", spec, street, crf), street)
            yield measured(f"recording of the street, crf {crf}", size, "MB/hour")
            yield measured(f"PSNR of the street, crf {crf}", ratio, "dB")
        exact = write(folder / "exact", plan_of(names, True), street[:5], settings.crf)
        yield measured(
            "recording of the street, lossless", quality(exact, street[:5])[0], "MB/hour"
        )
        room_names, room = live(FoodRoom(), 5)
        size, ratio = quality(write(folder / "room", plan_of(room_names), room, settings.crf), room)
        yield measured("recording of the food room", size, "MB/hour")
        yield measured("PSNR of the food room", ratio, "dB")
        yield at_most(
            "recorder, processor time at 10 Hz",
            share_of_a_core(folder, spec, street, 4),
            "% of a core",
            5.0,
        )
        reader = RecordingReader(recording)
        (taken,) = compare(lambda: reader.read(0, len(reader)), tries=3)
        yield at_least("playback", len(reader) / taken, "frames/s", 300.0)
        short = write(folder / "short", spec, street[:8], settings.crf)
        yield at_least("offline I-JEPA, recording / memory", updates(short), "x", 0.9)


def measurements(seconds: float) -> Iterator[Measurement]:
    """Yield all."""
    yield from recordings(seconds)


def main() -> None:
    """Print every figure; exit with 1 if a limit is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--seconds", type=float, default=300.0, help="of life in the street")
    options = parser.parse_args()
    torch.set_num_threads(1)
    sys.exit(not print_measurements(measurements(options.seconds), options.json))


if __name__ == "__main__":
    main()
