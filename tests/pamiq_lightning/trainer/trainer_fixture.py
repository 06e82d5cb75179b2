"""Learners whose memories are in files, with who saves them and no process around them."""

from __future__ import annotations

import hashlib
import json
import logging
from pathlib import Path
from typing import Any

import torch

from pamiq_lightning.checkpoint.files import tensor_bytes
from pamiq_lightning.checkpoint.store import MANIFEST, _sealed, rows_folder
from pamiq_lightning.exchange.rollouts import (
    AGENT_FIGURES,
    WindowsReader,
    WindowsSpec,
    WindowsWriter,
)
from pamiq_lightning.exchange.weights import WeightsSpec, WeightsWriter, create, vector_bytes
from pamiq_lightning.learners.base import Learner
from pamiq_lightning.replay.sampling import make_replay
from pamiq_lightning.trainer.checkpointer import Keeper
from pamiq_lightning.trainer.run_log import RunLog
from pamiq_lightning.trainer.settings import LearnerSettings, TrainerSettings
from pamiq_lightning.trainer.update import Driver
from pamiq_lightning.trainer.worker import Trainee
from pamiq_lightning.utils.instantiate import build
from tests.samples import LEARNERS, SHAPE, arrays

logging.getLogger("lightning.fabric").setLevel(logging.WARNING)
ROWS = 16
OPEN: list[RunLog] = []
"""Logs that whoever made a nursery has to close: see `close_all`."""
SETTINGS = {"rate": 10.0, "learners": {"policy": {"freeze": False}}}


class Nursery:
    """A trainer's inside.

    Args:
        run: the run's folder.
        exchange: a folder of its own for what is shared.
        first: number of the first window.
        trainer: how to save.
        learners: class_path and init_args by role.
    """

    def __init__(
        self,
        run: Path,
        exchange: Path,
        first: int = 0,
        trainer: TrainerSettings | None = None,
        learners: dict[str, dict[str, Any]] = LEARNERS,
    ) -> None:
        exchange.mkdir(parents=True)
        self.run, self._exchange = run, exchange
        self.windows = WindowsWriter(WindowsSpec(exchange / "windows", SHAPE, ROWS), first)
        self.reader = WindowsReader(self.windows.spec)
        self.log = RunLog(exchange, None)
        OPEN.append(self.log)
        self.trainees = [self._trainee(role, spec) for role, spec in learners.items()]
        self.errors: list[int] = []
        self.keeper = Keeper(
            run,
            self.trainees,
            self.reader,
            trainer or TrainerSettings(),
            SETTINGS,
            exact=True,
            on_saved=self.errors.append,
        )

    def _trainee(self, role: str, spec: dict[str, Any]) -> Trainee:
        learner = build(Learner, spec)
        driver, writer = Driver(learner, "cpu", "32-true"), None
        if learner.acting is not None:
            weights = WeightsSpec(self._exchange / role, vector_bytes(learner.acting))
            create(weights)
            writer = WeightsWriter(weights, learner.acting)
        shapes = {key: (field.shape, field.dtype) for key, field in SHAPE.fields().items()}
        fields = {key: shapes[key] for key in learner.needs}
        replay = make_replay(learner.memory, rows_folder(self.run, role), fields)
        return Trainee(role, learner, driver, writer, LearnerSettings(), replay)

    def live(self, windows: int, rehearsals: int = 0) -> None:
        """Fill windows, and let every learner train on each and rehearse."""
        for _ in range(windows):
            self.fill()
            self.train(rehearsals)

    def fill(self) -> None:
        number = self.windows.filled
        steps = arrays(ROWS, number * ROWS, version=number + 1)
        for row in range(ROWS):
            self.windows.write({key: values[row] for key, values in steps.items()})
        moment = tensor_bytes({"t": torch.tensor([number])}, {"moment": "{}"})
        self.windows.hand_over(dict.fromkeys(AGENT_FIGURES, float(number)), moment)
        window = self.reader.read()
        assert window is not None
        for trainee in self.trainees:
            trainee.take(window)

    def train(self, rehearsals: int = 0) -> None:
        for trainee in self.trainees:
            trainee.train(self.log, lambda: False)
            for _ in range(rehearsals):
                trainee.rehearse(self.log, 3.0)

    def metrics(self) -> list[dict[str, Any]]:
        lines = (self._exchange / "metrics.jsonl").read_text().splitlines()
        records = [json.loads(line) for line in lines]
        return [{k: v for k, v in record.items() if k != "time"} for record in records]

    def weights(self) -> dict[str, torch.Tensor]:
        return {
            f"{trainee.role}.{name}": tensor.clone()
            for trainee in self.trainees
            for name, tensor in trainee.learner.state_dict().items()
        }


def close_all() -> None:
    """Close the logs of all nurseries."""
    while OPEN:
        OPEN.pop().close()


def seal_again(folder: Path) -> None:
    """Make a manifest fit what was changed, as whoever means harm would."""
    manifest = json.loads((folder / MANIFEST).read_text())
    del manifest["sha256"]
    for name in manifest["files"]:
        content = (folder / name).read_bytes()
        manifest["files"][name] = {
            "bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
        }
    (folder / MANIFEST).write_bytes(_sealed(manifest))
