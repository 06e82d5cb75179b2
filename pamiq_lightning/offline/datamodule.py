"""Recordings as a LightningDataModule: one training round per rollout, as in the run."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import lightning as L
import numpy as np
from lightning.pytorch.trainer.states import TrainerFn
from tensordict import TensorDict
from torch.utils.data import DataLoader, IterableDataset

from pamiq_lightning.learners.base import Learner
from pamiq_lightning.offline.dataset import HEAVY, RecordingDataset
from pamiq_lightning.offline.frozen import FrozenEncoders, choose_frozen
from pamiq_lightning.offline.sizes import check_sizes
from pamiq_lightning.recording.schema import find_recording
from pamiq_lightning.replay.base import fill_replay, training_round
from pamiq_lightning.replay.factory import make_replay
from pamiq_lightning.replay.sequence import trajectory_ids


@dataclass
class Progress:
    """How far an epoch of training is.

    Attributes:
        seen: rollouts whose training round has begun.
        skip: rollouts of the next epoch that only fill the replay buffer: a fit that was
            interrupted has trained on them.
        before_batch: called before every batch.
    """

    seen: int = 0
    skip: int = 0
    before_batch: Callable[[], None] = lambda: None


class RecordingDataModule(L.LightningDataModule):
    """Steps that a run recorded; every tenth minute is held out of training.

    One epoch replays the recording once, with one training round per rollout. The replay buffer
    lasts from one epoch to the next.

    Args:
        recording: folders of recordings, or of the runs they lie in.
        encoder: checkpoint of the encoder that computes all latents; default: the one that the
            recording's own run has left.
        dynamics: checkpoint of the dynamics that compute all states; default: the one that the
            recording's own run has left, if its encoder is used too.
        decoder: checkpoint of a decoder, with which `validate` draws pictures.

    Attributes:
        progress: of the epoch in training.
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
            Path(encoder) if encoder else None, Path(dynamics) if dynamics else None
        )
        self.decoder = Path(decoder) if decoder else None
        self.progress = Progress()

    def setup(self, stage: str) -> None:
        """Open the recordings, and recompute the latents and states that the learner needs.

        Raises:
            RecordingError: a folder is not a recording, or is empty, or of another size than the
                learner, or there is no checkpoint to compute the latents or states it needs.
            CheckpointError: a checkpoint cannot be used.
            ValueError: no recording was named.
        """
        if not self._folders:
            raise ValueError("name a recording: --data.recording runs/NAME/DATE-TIME")
        shape = self.learner.shared_shapes.get("state", ())
        self.datasets = []
        for name in self._folders:
            folder = find_recording(Path(name))
            frozen = choose_frozen(folder, self.frozen, self.learner)
            dataset = RecordingDataset(folder, frozen, shape)
            check_sizes(folder, dataset.spec, frozen, self.learner)
            self.datasets.append(dataset)
        for dataset in self.datasets:
            dataset.recompute(_wanted(self.learner))

    def describe_held_out(self) -> str:
        """Return a line about the held-out steps."""
        minutes, rows = 0, 0
        for dataset in self.datasets:
            split = dataset.split
            minutes += len(np.unique(split.minute[split.evaluated]))
            rows += int(split.evaluated.sum())
        return f"held out of training: {minutes} minutes, evaluated on {rows} steps of them"

    @property
    def learner(self) -> Learner:
        """The learner that takes the batches."""
        assert self.trainer is not None
        return cast(Learner, self.trainer.lightning_module)

    def train_dataloader(self) -> DataLoader[TensorDict]:
        """Yield the learner's own batches."""
        # The replay buffer makes the batches, in this process, one round after another.
        return _loader(TrainingRounds(self.learner, self.datasets, self.progress))

    def val_dataloader(self) -> DataLoader[TensorDict] | list[TensorDict]:
        """Yield the held-out stretches; none while training, which they would slow down."""
        assert self.trainer is not None
        if self.trainer.state.fn != TrainerFn.VALIDATING:
            return []
        return self.test_dataloader()

    def test_dataloader(self) -> DataLoader[TensorDict]:
        """Yield the held-out stretches."""
        return _loader(_Stream(lambda: held_out(self.datasets, _wanted(self.learner))))

    def predict_dataloader(self) -> DataLoader[TensorDict]:
        """Yield every rollout in order."""
        return _loader(_Stream(self._every_rollout))

    def _every_rollout(self) -> Iterator[TensorDict]:
        """Yield all rollouts, without `info`, which no learner may read."""
        for dataset in self.datasets:
            every = np.ones(len(dataset), np.bool_)
            for steps in dataset.rollouts(every, _wanted(self.learner)):
                yield steps.exclude("info")


def _loader(dataset: IterableDataset[TensorDict]) -> DataLoader[TensorDict]:
    # The default collation cannot take a TensorDict.
    return DataLoader(dataset, batch_size=None, collate_fn=lambda batch: batch)


def _wanted(learner: Learner) -> set[str]:
    """Return the keys in `HEAVY` that a learner requires."""
    return set(HEAVY) & set(learner.required_keys)


class TrainingRounds(IterableDataset[TensorDict]):
    """The batches of one training round per rollout, without held-out rows."""

    def __init__(
        self,
        learner: Learner,
        datasets: Sequence[RecordingDataset],
        progress: Progress | None = None,
    ) -> None:
        self.learner, self.datasets, self.progress = learner, datasets, progress or Progress()
        self._replay = make_replay(learner.replay)

    def __len__(self) -> int:
        """Return the largest possible number of batches.

        With a length Lightning does not prefetch: a rollout must be prepared by the weights that
        the rollouts before it have trained.
        """
        spec, batches = self.learner.replay, 0
        for dataset in self.datasets:
            rows = math.ceil(len(dataset) / dataset.rollout_count)
            each = math.ceil(rows / spec.batch_size) if spec.kind == "on_policy" else 1
            batches += dataset.rollout_count * spec.updates * each
        return batches

    def __iter__(self) -> Iterator[TensorDict]:
        progress = self.progress
        progress.seen, skip, progress.skip = 0, progress.skip, 0
        for steps in self._rollouts():
            progress.seen += 1
            if progress.seen <= skip:
                fill_replay(self.learner, self._replay, steps)
                continue
            for batch in training_round(self.learner, self._replay, [steps]):
                progress.before_batch()
                yield batch

    def _rollouts(self) -> Iterator[TensorDict]:
        for dataset in self.datasets:
            yield from dataset.rollouts(dataset.split.trained, _wanted(self.learner))


class _Stream(IterableDataset[TensorDict]):
    """The items that a function yields."""

    def __init__(self, items: Callable[[], Iterator[TensorDict]]) -> None:
        self._items = items

    def __iter__(self) -> Iterator[TensorDict]:
        return self._items()


def held_out(datasets: Sequence[RecordingDataset], wanted: Collection[str]) -> Iterator[TensorDict]:
    """Yield the unbroken stretches of the held-out minutes.

    Args:
        datasets: the recordings.
        wanted: which of the keys in `HEAVY` are needed.
    """
    for dataset in datasets:
        split = dataset.split
        for minute in np.unique(split.minute[split.evaluated]):
            rows = split.evaluated & (split.minute == minute)
            yield from _unbroken(TensorDict.cat(list(dataset.rollouts(rows, wanted))))


def _unbroken(steps: TensorDict) -> Iterator[TensorDict]:
    """Yield the unbroken stretches of steps [N], without `info`, which no learner may read."""
    trajectories = trajectory_ids(steps)
    for trajectory in trajectories.unique():
        rows = steps[(trajectories == trajectory) & steps["valid"]]
        if len(rows):
            yield rows.exclude("info")
