"""Recordings as a LightningDataModule: the learner relives them window by window."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

import lightning as L
import numpy as np
from lightning.pytorch.trainer.states import TrainerFn
from tensordict import TensorDict
from torch.utils.data import DataLoader, IterableDataset

from pamiq_lightning.learners.base import Learner
from pamiq_lightning.offline.dataset import HEAVY, RecordingDataset
from pamiq_lightning.offline.eyes import FrozenEncoders, choose_frozen
from pamiq_lightning.recording.schema import find_recording
from pamiq_lightning.replay.base import training_round
from pamiq_lightning.replay.factory import make_replay
from pamiq_lightning.replay.sequence import trajectory_ids


class RecordingDataModule(L.LightningDataModule):
    """Steps that a run recorded, of which every tenth minute is held out of training.

    One epoch relives the recording once: each window makes one training round, as it did in life.
    What the learner remembers lasts from one epoch to the next.

    Args:
        recording: folders of recordings, or of the runs they lie in.
        encoder: checkpoint of the encoder that makes all latents; default: the one that the
            recording's own run has left.
        dynamics: checkpoint of the dynamics that make all states; default: the one that the
            recording's own run has left, if its encoder is used too.
        decoder: checkpoint of a decoder, with which `validate` draws what was seen and expected.
    """

    def __init__(
        self,
        recording: str | list[str] | None = None,
        encoder: str | None = None,
        dynamics: str | None = None,
        decoder: str | None = None,
    ) -> None:
        super().__init__()
        self._folders = [recording] if isinstance(recording, str) else recording or []
        self.frozen = FrozenEncoders(
            Path(encoder) if encoder else None,
            Path(dynamics) if dynamics else None,
        )
        self.decoder = Path(decoder) if decoder else None

    def setup(self, stage: str) -> None:
        """Look at the recordings, and make anew what must be, before anything is trained.

        Raises:
            RecordingError: a folder is not a recording, or is empty, or there is no checkpoint to
                make the latents or states that the learner needs.
            CheckpointError: a checkpoint cannot be used.
            ValueError: no recording was named.
        """
        if not self._folders:
            raise ValueError("name a recording: --data.recording runs/NAME/DATE-TIME")
        shape = self.learner.shared_shapes().get("state", ())
        self.datasets = []
        for name in self._folders:
            folder = find_recording(Path(name))
            frozen = choose_frozen(folder, self.frozen, self.learner)
            self.datasets.append(RecordingDataset(folder, frozen, shape))
        for dataset in self.datasets:
            dataset.recompute(_wanted(self.learner))

    def describe_held_out(self) -> str:
        """Return in a line what the learner is judged on."""
        minutes, rows = 0, 0
        for dataset in self.datasets:
            split = dataset.split
            minutes += len(np.unique(split.minute[split.judged]))
            rows += int(split.judged.sum())
        return f"held out of training: {minutes} minutes, {rows} steps of them judged on"

    @property
    def learner(self) -> Learner:
        """Whoever takes the batches."""
        assert self.trainer is not None
        return cast(Learner, self.trainer.lightning_module)

    def train_dataloader(self) -> DataLoader[TensorDict]:
        """Yield the learner's own batches."""
        # Batches are made by the learner's memory, in this process, one round after another.
        rounds = TrainingRounds(self.learner, self.datasets)
        return DataLoader(rounds, batch_size=None, collate_fn=_as_is)

    def val_dataloader(self) -> DataLoader[TensorDict] | list[TensorDict]:
        """Yield the unbroken stretches held out; none while training, which they would slow."""
        assert self.trainer is not None
        if self.trainer.state.fn != TrainerFn.VALIDATING:
            return []
        return self.test_dataloader()

    def test_dataloader(self) -> DataLoader[TensorDict]:
        """Yield the unbroken stretches held out."""
        stretches = HeldOut(self.learner, self.datasets)
        return DataLoader(stretches, batch_size=None, collate_fn=_as_is)

    def predict_dataloader(self) -> DataLoader[TensorDict]:
        """Yield every window in order."""
        rollouts = EveryWindow(self.learner, self.datasets)
        return DataLoader(rollouts, batch_size=None, collate_fn=_as_is)


def _as_is(batch: TensorDict) -> TensorDict:
    """Stand in for the default collation, which cannot take a TensorDict."""
    return batch


def _wanted(learner: Learner) -> set[str]:
    """Return which of the keys that take long to read or to make a learner has a use for."""
    return set(HEAVY) & set(learner.required_keys)


class TrainingRounds(IterableDataset[TensorDict]):
    """The batches of one training round after each window, held-out rows left out."""

    def __init__(self, learner: Learner, datasets: Sequence[RecordingDataset]) -> None:
        self.learner, self.datasets = learner, datasets
        self._replay = make_replay(learner.replay)

    def __len__(self) -> int:
        """Return the most batches there can be.

        With a length Lightning fetches no batch ahead; without, the next window would be prepared
        by weights that the last one had not finished training.
        """
        memory, batches = self.learner.replay, 0
        for dataset in self.datasets:
            rows = math.ceil(len(dataset) / dataset.rollout_count)
            each = math.ceil(rows / memory.batch_size) if memory.kind == "on_policy" else 1
            batches += dataset.rollout_count * memory.updates * each
        return batches

    def __iter__(self) -> Iterator[TensorDict]:
        for dataset in self.datasets:
            rows = dataset.split.trained
            for steps in dataset.rollouts(rows, _wanted(self.learner)):
                yield from training_round(self.learner, self._replay, [steps])


class EveryWindow(IterableDataset[TensorDict]):
    """All windows, info left out, which no learner may read."""

    def __init__(self, learner: Learner, datasets: Sequence[RecordingDataset]) -> None:
        self.learner, self.datasets = learner, datasets

    def __iter__(self) -> Iterator[TensorDict]:
        for dataset in self.datasets:
            everything = np.ones(len(dataset), np.bool_)
            for steps in dataset.rollouts(everything, _wanted(self.learner)):
                yield steps.exclude("info")


class HeldOut(IterableDataset[TensorDict]):
    """Unbroken stretches of the held-out minutes, whole."""

    def __init__(self, learner: Learner, datasets: Sequence[RecordingDataset]) -> None:
        self.learner, self.datasets = learner, datasets

    def __iter__(self) -> Iterator[TensorDict]:
        for dataset in self.datasets:
            split = dataset.split
            for minute in np.unique(split.minute[split.judged]):
                rows = split.judged & (split.minute == minute)
                parts = list(dataset.rollouts(rows, _wanted(self.learner)))
                yield from unbroken(TensorDict.cat(parts))


def unbroken(steps: TensorDict) -> Iterator[TensorDict]:
    """Yield the unbroken traces of steps [N], info left out, which no learner may read."""
    traces = trajectory_ids(steps)
    for trace in traces.unique():
        rows = steps[(traces == trace) & steps["valid"]]
        if len(rows):
            yield rows.exclude("info")
