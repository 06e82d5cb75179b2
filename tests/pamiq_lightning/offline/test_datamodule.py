from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import lightning as L
import pytest
import torch
from tensordict import TensorDict
from torch.utils.data import DataLoader

from pamiq_lightning.learners.base import Learner
from pamiq_lightning.offline.datamodule import RelivedRounds
from pamiq_lightning.offline.dataset import Experience
from pamiq_lightning.offline.eyes import Eyes, choose_eyes
from pamiq_lightning.utils.instantiate import build
from tests.pamiq_lightning.offline.test_dataset import checkpoint
from tests.samples import LEARNERS, arrays, record


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Three windows, with checkpoints of the run beside them."""
    (tmp_path / "checkpoints").mkdir()
    for role in ("encoder", "dynamics"):
        checkpoint(tmp_path / "checkpoints", role)
    return record(tmp_path / "recording", [arrays(16, 16 * number) for number in range(3)])


def experience(recording: Path, learner: Learner) -> Experience:
    shape = learner.dimensions().get("state", ())
    return Experience(recording, choose_eyes(recording, Eyes(), learner), shape)


@pytest.mark.parametrize("role", list(LEARNERS))
def test_every_learner_can_relive_it(recording: Path, role: str) -> None:
    learner = build(Learner, LEARNERS[role])
    batches = list(RelivedRounds(learner, [experience(recording, learner)]))
    assert len(batches) >= 3 * learner.memory.updates
    learner.log = learner.log_dict = lambda *_, **__: None  # type: ignore[method-assign, assignment]
    assert torch.isfinite(learner.training_step(batches[-1], 0))


def test_a_window_is_prepared_by_weights_that_finished_the_one_before(recording: Path) -> None:
    """Under Lightning's Trainer too, which fetches ahead where a loader has no length."""
    learner = build(Learner, LEARNERS["policy"])
    behind: list[int] = []
    handed_out = 0
    prepare = learner.prepare

    def watched(window: TensorDict) -> TensorDict:
        behind.append(handed_out - int(learner.n_updates))
        return prepare(window)

    class Counting(RelivedRounds):
        def __iter__(self) -> Iterator[TensorDict]:
            nonlocal handed_out
            for batch in super().__iter__():
                handed_out += 1
                yield batch

    learner.prepare = watched  # type: ignore[method-assign]
    data = Counting(learner, [experience(recording, learner)])
    trainer = L.Trainer(
        accelerator="cpu",
        max_epochs=1,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
    )
    trainer.fit(learner, DataLoader(data, batch_size=None, collate_fn=lambda batch: batch))
    # At each window, all that was handed out had been trained on.
    assert behind == [0, 0, 0]
    assert handed_out == int(learner.n_updates) > 3
