"""Recordings as a LightningDataModule: the learner relives them window by window."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import lightning as L
import torch
from tensordict import TensorDict
from torch.utils.data import DataLoader, IterableDataset

from pamiq_lightning.learners.base import Learner
from pamiq_lightning.offline.files import (
    find_recording,
    read_description,
    read_window,
    window_files,
)
from pamiq_lightning.replay import make_replay, training_round


class Recording(L.LightningDataModule):
    """Steps that a run recorded.

    One epoch relives the recording once: each window makes one training round, as it did in life.

    Args:
        recording: folders of recordings, or of the runs they lie in.
    """

    def __init__(self, recording: str | list[str] | None = None) -> None:
        super().__init__()
        self._folders = [recording] if isinstance(recording, str) else recording or []

    def setup(self, stage: str) -> None:
        """Look at the recordings before anything is trained.

        Raises:
            RecordingError: a folder is not a recording, or is empty.
            ValueError: no recording was named.
        """
        if not self._folders:
            raise ValueError("name a recording: --data.recording runs/NAME/DATE-TIME")
        self._files: list[Path] = []
        for name in self._folders:
            folder = find_recording(Path(name))
            read_description(folder)
            self._files += window_files(folder)

    def train_dataloader(self) -> DataLoader[TensorDict]:
        """Yield the learner's own batches."""
        assert self.trainer is not None
        learner = cast(Learner, self.trainer.lightning_module)
        # Batches are made by the learner's memory, in this process, one round after another.
        return DataLoader(RelivedRounds(learner, self._files), batch_size=None, collate_fn=_as_is)


def _as_is(batch: TensorDict) -> TensorDict:
    """Stand in for the default collation, which cannot take a TensorDict."""
    return batch


class RelivedRounds(IterableDataset[TensorDict]):
    """The batches of one training round after each window."""

    def __init__(self, learner: Learner, files: list[Path]) -> None:
        self.learner, self.files = learner, files

    def __len__(self) -> int:
        """Return the most batches there can be.

        With a length Lightning fetches no batch ahead; without, the next window would be prepared
        by weights that the last one had not finished training.
        """
        memory, rows = self.learner.memory, len(read_window(self.files[0])["index"])
        each = math.ceil(rows / memory.batch_size) if memory.kind == "windows" else 1
        return len(self.files) * memory.updates * each

    def __iter__(self) -> Iterator[TensorDict]:
        replay = make_replay(self.learner.memory)
        for path in self.files:
            rows = {key: torch.from_numpy(array) for key, array in read_window(path).items()}
            steps = TensorDict(rows, [len(rows["index"])])
            yield from training_round(self.learner, replay, [steps])
