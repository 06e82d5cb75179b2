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
from pamiq_lightning.offline.experience import Experience, Eyes
from pamiq_lightning.replay import make_replay, trace_ids, training_round


class Recording(L.LightningDataModule):
    """Steps that a run recorded, of which every tenth minute is held out of training.

    One epoch relives the recording once: each window makes one training round, as it did in life.
    What the learner remembers lasts from one epoch to the next.

    Args:
        recording: folders of recordings, or of the runs they lie in.
        encoder: checkpoint of an encoder that makes all latents anew; default: those stored.
        dynamics: checkpoint of dynamics that make all states anew.
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
        self.eyes = Eyes(
            Path(encoder) if encoder else None,
            Path(dynamics) if dynamics else None,
        )
        self.decoder = Path(decoder) if decoder else None

    def setup(self, stage: str) -> None:
        """Look at the recordings, and make anew what must be, before anything is trained.

        Raises:
            RecordingError: a folder is not a recording, or is empty.
            CheckpointError: a checkpoint cannot be used.
            ValueError: no recording was named.
        """
        if not self._folders:
            raise ValueError("name a recording: --data.recording runs/NAME/DATE-TIME")
        shape = self.learner.dimensions().get("state")
        self.experiences = [Experience(Path(name), self.eyes, shape) for name in self._folders]
        for experience in self.experiences:
            experience.make_anew()

    def describe_held_out(self) -> str:
        """Return in a line what the learner is judged on."""
        minutes, rows = 0, 0
        for experience in self.experiences:
            split = experience.split
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
        rounds = RelivedRounds(self.learner, self.experiences)
        return DataLoader(rounds, batch_size=None, collate_fn=_as_is)

    def val_dataloader(self) -> DataLoader[TensorDict] | list[TensorDict]:
        """Yield the unbroken stretches held out; none while training, which they would slow."""
        assert self.trainer is not None
        if self.trainer.state.fn != TrainerFn.VALIDATING:
            return []
        stretches = HeldOut(self.learner, self.experiences)
        return DataLoader(stretches, batch_size=None, collate_fn=_as_is)


def _as_is(batch: TensorDict) -> TensorDict:
    """Stand in for the default collation, which cannot take a TensorDict."""
    return batch


def _unneeded(learner: Learner) -> set[str]:
    """Return keys that take long to read and that a learner has no use for."""
    return {"frame"} - set(learner.needs)


class RelivedRounds(IterableDataset[TensorDict]):
    """The batches of one training round after each window, held-out rows left out."""

    def __init__(self, learner: Learner, experiences: Sequence[Experience]) -> None:
        self.learner, self.experiences = learner, experiences
        self._replay = make_replay(learner.memory)

    def __len__(self) -> int:
        """Return the most batches there can be.

        With a length Lightning fetches no batch ahead; without, the next window would be prepared
        by weights that the last one had not finished training.
        """
        memory, batches = self.learner.memory, 0
        for experience in self.experiences:
            rows = math.ceil(len(experience) / len(experience.files))
            each = math.ceil(rows / memory.batch_size) if memory.kind == "windows" else 1
            batches += len(experience.files) * memory.updates * each
        return batches

    def __iter__(self) -> Iterator[TensorDict]:
        for experience in self.experiences:
            rows = experience.split.trained
            for steps in experience.windows(rows, without=_unneeded(self.learner)):
                yield from training_round(self.learner, self._replay, [steps])


class HeldOut(IterableDataset[TensorDict]):
    """Unbroken stretches of the held-out minutes, whole."""

    def __init__(self, learner: Learner, experiences: Sequence[Experience]) -> None:
        self.learner, self.experiences = learner, experiences

    def __iter__(self) -> Iterator[TensorDict]:
        for experience in self.experiences:
            split = experience.split
            for minute in np.unique(split.minute[split.judged]):
                rows = split.judged & (split.minute == minute)
                parts = list(experience.windows(rows, without=_unneeded(self.learner)))
                yield from unbroken(TensorDict.cat(parts))


def unbroken(steps: TensorDict) -> Iterator[TensorDict]:
    """Yield the unbroken traces of steps [N], info left out, which no learner may read."""
    traces = trace_ids(steps)
    for trace in traces.unique():
        rows = steps[(traces == trace) & steps["valid"]]
        if len(rows):
            yield rows.exclude("info")
