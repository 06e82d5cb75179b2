"""What recordings cost: their size, quality and speed.

    python -m tools.bench.recording
    python -m tools.bench.recording --json

The steps are of the embedded street at 144 x 144 and 10 Hz with uniformly random actions. Nearly
every frame has another viewpoint than the one before, which is the hardest case to compress.
"""

from __future__ import annotations

import dataclasses
import math
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
from agent.worlds.embedded.lockstep import LockstepWorld
from agent.worlds.embedded.scenes.base import Scene
from agent.worlds.embedded.scenes.food_room import FoodRoom
from agent.worlds.embedded.scenes.street import Street
from pamiq_lightning.exchange.rollouts import AGENT_METRICS, RolloutsSpec, RolloutWriter
from pamiq_lightning.exchange.status_board import StatusBoard, StatusBoardSpec
from pamiq_lightning.learners.base import Learner
from pamiq_lightning.offline.datamodule import TrainingRounds
from pamiq_lightning.offline.dataset import RecordingDataset
from pamiq_lightning.offline.frozen import FrozenEncoders
from pamiq_lightning.recording.reader import RecordingReader
from pamiq_lightning.recording.schema import DatasetSpec
from pamiq_lightning.recording.settings import RecordingSettings
from pamiq_lightning.recording.writer import RecordingWriter, size_of
from pamiq_lightning.replay.base import training_round
from pamiq_lightning.replay.factory import make_replay
from pamiq_lightning.step import StepShape
from pamiq_lightning.trainer.update import Updater
from pamiq_lightning.utils.instantiate import build
from tools.bench.limits import Measurement, at_least, at_most, bench_main, measured
from tools.bench.timing import compare
from tools.parts import load_settings

SIZE, RATE, ROLLOUT = 144, 10, 128
HOUR = 3600 * RATE
SHAPE = StepShape(SIZE, (36, 32), (3, 256), CHOICES)

Steps = dict[str, NDArray[Any]]


def dataset_spec(info_names: tuple[str, ...], lossless: bool = False) -> DatasetSpec:
    """Return the spec of a recording of the embedded world."""
    names = tuple(axis.name for axis in ACTIONS)
    return DatasetSpec(float(RATE), SIZE, CHOICES, names, info_names, ROLLOUT, lossless)


def collect(scene: Scene, count: int) -> tuple[tuple[str, ...], list[Steps]]:
    """Return rollouts of a random policy in a scene; log_prob, value and reward are noise."""
    world = LockstepWorld(scene, SIZE, 0, RATE)
    random = np.random.default_rng(0)
    shape = dataclasses.replace(SHAPE, info_names=world.info_names)
    rollouts = []
    for number in range(count):
        steps = {
            key: np.zeros((ROLLOUT, *field.shape), field.dtype)
            for key, field in shape.fields().items()
        }
        for row in range(ROLLOUT):
            steps["frame"][row], steps["info"][row] = world.observe()
            steps["action"][row] = random.integers(0, CHOICES)
            world.act(steps["action"][row])
        steps["index"] = np.arange(ROLLOUT) + ROLLOUT * number
        steps["time"] = steps["index"] / RATE + random.normal(0, 1e-3, ROLLOUT)
        steps["is_first"][0], steps["valid"][:] = number == 0, True
        for key in ("log_prob", "value", "reward"):
            steps[key] = random.normal(size=ROLLOUT).astype(np.float32)
        rollouts.append(steps)
    world.close()
    return world.info_names, rollouts


def psnr(original: NDArray[np.uint8], decoded: NDArray[np.uint8]) -> float:
    """Return the peak signal-to-noise ratio (dB) of all pixels together, red, green and blue."""
    error = np.square(original.astype(np.float32) - decoded).mean(dtype=np.float64)
    return float(10 * np.log10(255**2 / error)) if error else math.inf


def write(folder: Path, spec: DatasetSpec, rollouts: list[Steps], crf: int) -> Path:
    """Record rollouts; return the folder."""
    writer = RecordingWriter(folder, spec, crf)
    for steps in rollouts:
        writer.write(steps)
    writer.close()
    return folder


def quality(folder: Path, rollouts: list[Steps]) -> tuple[float, float]:
    """Return MB an hour and PSNR of a recording."""
    rows = len(rollouts) * ROLLOUT
    decoded = RecordingReader(folder).read(0, rows)["frame"]
    original = np.concatenate([steps["frame"] for steps in rollouts])
    return size_of(folder) / rows * HOUR / 1e6, psnr(original, decoded)


def share_of_a_core(folder: Path, spec: DatasetSpec, rollouts: list[Steps], count: int) -> float:
    """Return the processor time (% of a core) of a recorder that is fed at the pace of a run."""
    shape = dataclasses.replace(SHAPE, info_names=spec.info_names)
    writer = RolloutWriter(RolloutsSpec(folder / "rollouts", shape, ROLLOUT))
    board = StatusBoard(StatusBoardSpec(folder / "board", ()), create=True)
    recorder = Recorder(
        writer.spec, board.spec, folder / RECORDING, spec, RecordingSettings(max_gb=1.0)
    )
    process = psutil.Process(recorder.process.pid)
    # The first rollout comes with what happens once: imports, and new files.
    for number in range(count + 1):
        for row in range(ROLLOUT):
            writer.write({key: values[row] for key, values in rollouts[number].items()})
        writer.commit(dict.fromkeys(AGENT_METRICS, 0.0))
        if number == 1:
            began, used = time.monotonic(), sum(process.cpu_times()[:2])
        time.sleep(ROLLOUT / RATE)
    share = (sum(process.cpu_times()[:2]) - used) / (time.monotonic() - began)
    board.request_stop()
    recorder.join()
    return 100 * share


def updates(folder: Path) -> float:
    """Return I-JEPA's updates/s from a recording, over those on the same rollouts in memory."""
    torch.manual_seed(0)
    dataset = RecordingDataset(folder, FrozenEncoders())
    rows = np.ones(len(dataset), np.bool_)
    in_memory = list(dataset.rollouts(rows, {"frame"}))

    model = load_settings("conf=japan_street", "size=tiny").learners["encoder"].model

    def train(batches: Callable[[Learner], Iterator[Any]]) -> Callable[[], None]:
        updater = Updater(build(Learner, model), "cpu", "32-true")

        def job() -> None:
            for batch in batches(updater.learner):
                updater.update(batch)

        return job

    def from_memory(learner: Learner) -> Iterator[Any]:
        replay = make_replay(learner.replay)
        for steps in in_memory:
            yield from training_round(learner, replay, [steps])

    memory, disk = compare(
        train(from_memory), train(lambda learner: iter(TrainingRounds(learner, [dataset]))), tries=3
    )
    return memory / disk


def measurements(seconds: float) -> Iterator[Measurement]:
    """Yield all."""
    torch.set_num_threads(1)
    settings = RecordingSettings()
    with tempfile.TemporaryDirectory(prefix="pamiq-memory-") as there:
        folder = Path(there)
        names, street = collect(Street(), int(seconds * RATE) // ROLLOUT)
        spec = dataset_spec(names)
        recording = write(folder / "street", spec, street, settings.crf)
        size, ratio = quality(recording, street)
        yield at_most("recording of the street", size, "MB/hour", 30.0)
        yield at_least("PSNR of the street", ratio, "dB", 32.0)
        for crf in (34, 40):
            size, ratio = quality(write(folder / f"{crf}", spec, street, crf), street)
            yield measured(f"recording of the street, crf {crf}", size, "MB/hour")
            yield measured(f"PSNR of the street, crf {crf}", ratio, "dB")
        exact = write(folder / "exact", dataset_spec(names, True), street[:5], settings.crf)
        yield measured(
            "recording of the street, lossless", quality(exact, street[:5])[0], "MB/hour"
        )
        room_names, room = collect(FoodRoom(), 5)
        size, ratio = quality(
            write(folder / "room", dataset_spec(room_names), room, settings.crf), room
        )
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


if __name__ == "__main__":
    bench_main(__doc__, measurements, seconds=(300.0, "of a run in the street"))
