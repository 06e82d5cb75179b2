"""What the updater of the background trainer costs; `tools.bench.learners` prints it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import lightning as L
import torch
from tensordict import TensorDict
from torch.utils.data import DataLoader, Dataset

from agent.actions import CHOICES
from pamiq_lightning.learners.base import Learner
from pamiq_lightning.learners.ijepa import IJEPA
from pamiq_lightning.replay.base import training_round
from pamiq_lightning.replay.factory import make_replay
from pamiq_lightning.step import StepShape
from pamiq_lightning.trainer.update import Updater
from pamiq_lightning.trainer.warm_up import noise
from pamiq_lightning.utils.instantiate import build
from tools.bench.limits import Measurement, at_least, at_most
from tools.bench.timing import compare
from tools.parts import load_settings


class _Batches(Dataset[TensorDict]):
    """A list as a dataset."""

    def __init__(self, batches: list[TensorDict]) -> None:
        self._batches = batches

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, index: int) -> TensorDict:
        return self._batches[index]


def updater_overhead() -> Iterator[Measurement]:
    """Yield the updater against plain torch and Lightning's Trainer, on the same batches."""
    frames = torch.randint(0, 256, (8, 3, 48, 48), dtype=torch.uint8)
    batches = [TensorDict({"frame": frames}, [8]) for _ in range(60)]

    def small() -> IJEPA:
        return IJEPA(
            (16, 16), 48, 6, width=32, depth=2, heads=2, predictor_width=16, predictor_depth=1,
            predictor_heads=1, pool=2, batch_size=8,
        )  # fmt: skip

    plain, mine = small(), Updater(small(), "cpu", "32-true")
    plain.log = plain.log_dict = lambda *_, **__: None  # type: ignore[method-assign, assignment]
    optimizer = plain.configure_optimizers()

    def by_hand() -> None:
        for batch in batches:
            plain.training_step(batch, 0).backward()
            plain.on_before_optimizer_step(optimizer)
            optimizer.step()
            optimizer.zero_grad()
            plain.on_train_batch_end(None, batch, 0)

    hand, ours, theirs = compare(
        by_hand, partial(with_updater, mine, batches), lambda: with_trainer(small(), batches)
    )
    overhead = 1000 * (ours - hand) / len(batches)
    yield at_most("updater over plain torch, an update", overhead, "ms", 1.0)
    yield at_least("updates/s, updater / lightning.Trainer", theirs / ours, "x", 0.95)


def with_updater(updater: Updater, batches: list[TensorDict]) -> None:
    """Train as the background loop does."""
    for batch in batches:
        updater.update(batch)
        updater.metrics.take()


def with_trainer(learner: Learner, batches: list[TensorDict]) -> None:
    """Train offline, as fast as Lightning can."""
    trainer = L.Trainer(
        accelerator="cpu", max_epochs=1, logger=False, enable_progress_bar=False,
        enable_model_summary=False, enable_checkpointing=False,
    )  # fmt: skip
    trainer.fit(learner, DataLoader(_Batches(batches), batch_size=None, collate_fn=lambda b: b))


def learner_updates() -> Iterator[Measurement]:
    """Yield for every learner at size tiny its updates/s, updater over lightning.Trainer."""
    shape = StepShape(144, (36, 32), (3, 256), CHOICES, ())
    for role, settings in load_settings("conf=japan_street", "size=tiny").learners.items():
        mine, theirs = (build(Learner, settings.model) for _ in range(2))
        replay = make_replay(mine.replay)
        batches = list(training_round(mine, replay, [noise(shape, 256)]))[:16]
        updater = Updater(mine, "cpu", "32-true")
        ours, other = compare(
            partial(with_updater, updater, batches), partial(with_trainer, theirs, batches), tries=3
        )
        yield at_least(f"{role} at tiny, updater / lightning.Trainer", other / ours, "x", 0.95)
