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
    AGENT_METRICS,
    RolloutReader,
    RolloutsSpec,
    RolloutWriter,
)
from pamiq_lightning.exchange.weights import WeightsSpec, WeightsWriter, create, flat_size
from pamiq_lightning.learners.base import Learner
from pamiq_lightning.replay.factory import make_replay
from pamiq_lightning.trainer.checkpointer import Checkpointer
from pamiq_lightning.trainer.run_log import RunLog
from pamiq_lightning.trainer.settings import LearnerSettings, TrainerSettings
from pamiq_lightning.trainer.update import Updater
from pamiq_lightning.trainer.worker import LearnerWorker
from pamiq_lightning.utils.instantiate import build
from tests.synthetic import LEARNERS, SHAPE, arrays

logging.getLogger("lightning.fabric").setLevel(logging.WARNING)
ROWS = 16
OPEN: list[RunLog] = []
"""Logs that whoever made a trainer_fixture has to close: see `close_all`."""
SETTINGS = {"rate": 10.0, "learners": {"policy": {"freeze": False}}}


class TrainerFixture:
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
        self.rollouts = RolloutWriter(RolloutsSpec(exchange / "rollouts", SHAPE, ROWS), first)
        self.reader = RolloutReader(self.rollouts.spec)
        self.log = RunLog(exchange, None)
        OPEN.append(self.log)
        self.workers = [self._worker(role, spec) for role, spec in learners.items()]
        self.errors: list[int] = []
        self.checkpointer = Checkpointer(
            run,
            self.workers,
            self.reader,
            trainer or TrainerSettings(),
            SETTINGS,
            exact=True,
            on_saved=self.errors.append,
        )

    def _worker(self, role: str, spec: dict[str, Any]) -> LearnerWorker:
        learner = build(Learner, spec)
        updater, writer = Updater(learner, "cpu", "32-true"), None
        if learner.acting_module is not None:
            weights = WeightsSpec(self._exchange / role, flat_size(learner.acting_module))
            create(weights)
            writer = WeightsWriter(weights, learner.acting_module)
        shapes = {key: (field.shape, field.dtype) for key, field in SHAPE.fields().items()}
        fields = {key: shapes[key] for key in learner.required_keys}
        replay = make_replay(learner.replay, rows_folder(self.run, role), fields)
        return LearnerWorker(role, learner, updater, writer, LearnerSettings(), replay)

    def live(self, rollouts: int, replay_updates: int = 0) -> None:
        """Fill windows, and let every learner train on each and replay_update."""
        for _ in range(rollouts):
            self.fill()
            self.train(replay_updates)

    def fill(self) -> None:
        number = self.rollouts.filled
        steps = arrays(ROWS, number * ROWS, version=number + 1)
        for row in range(ROWS):
            self.rollouts.write({key: values[row] for key, values in steps.items()})
        agent_state = tensor_bytes({"t": torch.tensor([number])}, {"agent_state": "{}"})
        self.rollouts.commit(dict.fromkeys(AGENT_METRICS, float(number)), agent_state)
        rollout = self.reader.read()
        assert rollout is not None
        for worker in self.workers:
            worker.enqueue(rollout)

    def train(self, replay_updates: int = 0) -> None:
        for worker in self.workers:
            worker.train(self.log, lambda: False)
            for _ in range(replay_updates):
                worker.replay_update(self.log, 3.0)

    def metrics(self) -> list[dict[str, Any]]:
        lines = (self._exchange / "metrics.jsonl").read_text().splitlines()
        records = [json.loads(line) for line in lines]
        return [{k: v for k, v in record.items() if k != "time"} for record in records]

    def weights(self) -> dict[str, torch.Tensor]:
        return {
            f"{worker.role}.{name}": tensor.clone()
            for worker in self.workers
            for name, tensor in worker.learner.state_dict().items()
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
