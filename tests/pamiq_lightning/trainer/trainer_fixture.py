"""A trainer without its process: workers with replay files, a checkpointer and a rollout writer."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from pamiq_lightning.checkpoint.files import tensor_bytes
from pamiq_lightning.checkpoint.store import MANIFEST, rows_folder, with_checksum
from pamiq_lightning.exchange.rollouts import (
    AGENT_METRICS,
    RolloutReader,
    RolloutsSpec,
    RolloutWriter,
)
from pamiq_lightning.exchange.weights import WeightsSpec, WeightsWriter, create, flat_size
from pamiq_lightning.learners.base import Learner
from pamiq_lightning.replay.factory import make_replay
from pamiq_lightning.run_files import METRICS
from pamiq_lightning.trainer.checkpointer import Checkpointer
from pamiq_lightning.trainer.run_log import RunLog
from pamiq_lightning.trainer.settings import LearnerSettings, TrainerSettings
from pamiq_lightning.trainer.update import Updater
from pamiq_lightning.trainer.worker import LearnerWorker
from pamiq_lightning.utils.instantiate import build
from tests.synthetic import LEARNERS, SHAPE, arrays

logging.getLogger("lightning.fabric").setLevel(logging.WARNING)
ROWS = 16
SETTINGS = {"rate": 10.0, "learners": {"policy": {"freeze": False}}}


class TrainerFixture:
    """The parts of a trainer.

    Args:
        run_folder: of the run.
        exchange: a new folder for shared files.
        first: number of the first rollout.
        trainer: how to save.
        learners: class_path and init_args by role.
    """

    def __init__(
        self,
        run_folder: Path,
        exchange: Path,
        first: int = 0,
        trainer: TrainerSettings | None = None,
        learners: dict[str, dict[str, Any]] = LEARNERS,
    ) -> None:
        exchange.mkdir(parents=True)
        self._run_folder, self._exchange = run_folder, exchange
        self.rollouts = RolloutWriter(RolloutsSpec(exchange / "rollouts", SHAPE, ROWS), first)
        self.reader = RolloutReader(self.rollouts.spec)
        self.log = RunLog(exchange, None)
        self.workers = [self._worker(role, spec) for role, spec in learners.items()]
        self.messages: list[str] = []
        self.checkpointer = Checkpointer(
            run_folder,
            self.workers,
            self.reader,
            trainer or TrainerSettings(),
            SETTINGS,
            exact=True,
            notify=self.messages.append,
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
        replay = make_replay(learner.replay, rows_folder(self._run_folder, role), fields)
        return LearnerWorker(role, learner, updater, writer, LearnerSettings(), replay)

    def run(self, rollouts: int, replay_updates: int = 0) -> None:
        """Fill rollouts and train every worker on each, then from replay."""
        for _ in range(rollouts):
            self.fill()
            self.train(replay_updates)

    def fill(self) -> None:
        """Fill one rollout and enqueue it for every worker."""
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
        """Train every worker on its pending rollouts, then from replay."""
        for worker in self.workers:
            worker.train(self.log, lambda: False)
            for _ in range(replay_updates):
                worker.replay_update(self.log, 3.0)

    def publish(self) -> None:
        """Publish every worker's weights."""
        for worker in self.workers:
            worker.publish()

    def metrics(self) -> list[dict[str, Any]]:
        """Return all logged records without their wall time."""
        lines = (self._exchange / METRICS).read_text().splitlines()
        records = [json.loads(line) for line in lines]
        return [{k: v for k, v in record.items() if k != "time"} for record in records]

    def weights(self) -> dict[str, torch.Tensor]:
        """Return a copy of all learners' state, by role and name."""
        return {
            f"{worker.role}.{name}": tensor.clone()
            for worker in self.workers
            for name, tensor in worker.learner.state_dict().items()
        }


@contextmanager
def trainer_builder() -> Iterator[Callable[..., TrainerFixture]]:
    """Yield a function that builds a TrainerFixture; their logs are closed at the end."""
    built: list[TrainerFixture] = []

    def build_trainer(*arguments: Any, **options: Any) -> TrainerFixture:
        built.append(TrainerFixture(*arguments, **options))
        return built[-1]

    yield build_trainer
    for trainer in built:
        trainer.log.close()


def forge_checksums(folder: Path) -> None:
    """Update a manifest's checksums to changed files, as a malicious author would."""
    manifest = json.loads((folder / MANIFEST).read_text())
    del manifest["sha256"]
    for name in manifest["files"]:
        content = (folder / name).read_bytes()
        manifest["files"][name] = {
            "bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
        }
    (folder / MANIFEST).write_bytes(with_checksum(manifest))
