from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import lightning as L
import pytest
import torch
from tensordict import TensorDict
from torch.utils.data import DataLoader

from pamiq_lightning.learners.base import Learner
from pamiq_lightning.offline.datamodule import TrainingRounds
from pamiq_lightning.offline.dataset import RecordingDataset
from pamiq_lightning.offline.frozen import FrozenEncoders, choose_frozen
from pamiq_lightning.utils.instantiate import build
from tests.pamiq_lightning.offline.test_dataset import checkpoint
from tests.synthetic import LEARNERS, arrays, record


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Three rollouts, with checkpoints of the run beside them."""
    (tmp_path / "checkpoints").mkdir()
    for role in ("encoder", "dynamics"):
        checkpoint(tmp_path / "checkpoints", role)
    return record(tmp_path / "recording", [arrays(16, 16 * number) for number in range(3)])


def dataset(recording: Path, learner: Learner) -> RecordingDataset:
    shape = learner.shared_shapes.get("state", ())
    return RecordingDataset(recording, choose_frozen(recording, FrozenEncoders(), learner), shape)


@pytest.mark.parametrize("role", list(LEARNERS))
def test_every_learner_trains_on_a_recording(recording: Path, role: str) -> None:
    learner = build(Learner, LEARNERS[role])
    batches = list(TrainingRounds(learner, [dataset(recording, learner)]))
    assert len(batches) >= 3 * learner.replay.updates
    learner.log = learner.log_dict = lambda *_, **__: None  # type: ignore[method-assign, assignment]
    assert torch.isfinite(learner.training_step(batches[-1], 0))


def test_rollouts_are_prepared_after_training_on_the_one_before(recording: Path) -> None:
    """Under Lightning's Trainer too, which fetches ahead where a loader has no length."""
    learner = build(Learner, LEARNERS["policy"])
    behind: list[int] = []
    handed_out = 0
    prepare = learner.prepare

    def watched(rollout: TensorDict) -> TensorDict:
        behind.append(handed_out - int(learner.n_updates))
        return prepare(rollout)

    class Counting(TrainingRounds):
        def __iter__(self) -> Iterator[TensorDict]:
            nonlocal handed_out
            for batch in super().__iter__():
                handed_out += 1
                yield batch

    learner.prepare = watched  # type: ignore[method-assign]
    data = Counting(learner, [dataset(recording, learner)])
    trainer = L.Trainer(
        accelerator="cpu",
        max_epochs=1,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
    )
    trainer.fit(learner, DataLoader(data, batch_size=None, collate_fn=lambda batch: batch))
    # At each rollout, the learner had trained on every batch yielded before.
    assert behind == [0, 0, 0]
    assert handed_out == int(learner.n_updates) > 3
