from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import lightning as L
import pytest
import torch
from tensordict import TensorDict
from torch.utils.data import DataLoader

from agent.recorder import write_window
from pamiq_lightning.class_spec import build
from pamiq_lightning.exchange.windows import Window
from pamiq_lightning.learners.base import Learner
from pamiq_lightning.offline.experience import Experience, Eyes
from pamiq_lightning.offline.files import (
    DESCRIPTION,
    RecordingError,
    find_recording,
    read_description,
    read_window,
    window_files,
)
from pamiq_lightning.offline.recording import RelivedRounds
from tests.samples import LEARNERS, arrays


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    folder = tmp_path / "recording"
    folder.mkdir()
    (folder / DESCRIPTION).write_text('{"format": 1}')
    for number in range(3):
        write_window(Window(number, arrays(16, 16 * number), {}), folder)
    return folder


def test_steps_come_back_as_they_were(recording: Path) -> None:
    assert find_recording(recording.parent) == recording == find_recording(recording)
    files = window_files(recording)
    assert len(files) == 3
    again = read_window(files[1])
    for key, values in arrays(16, 16).items():
        assert (again[key] == values).all(), key
        assert again[key].dtype == values.dtype, key
    assert not list(recording.glob("*.part"))


@pytest.mark.parametrize("role", list(LEARNERS))
def test_every_learner_can_relive_it(recording: Path, role: str) -> None:
    learner = build(Learner, LEARNERS[role])
    batches = list(RelivedRounds(learner, [Experience(recording, Eyes())]))
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
    data = Counting(learner, [Experience(recording, Eyes())])
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


def test_what_is_no_recording_is_named(tmp_path: Path, recording: Path) -> None:
    with pytest.raises(RecordingError, match="is not a recording"):
        find_recording(tmp_path / "recording" / "deeper")
    (recording / DESCRIPTION).write_text('{"format": 99}')
    with pytest.raises(RecordingError, match="has format 99"):
        read_description(recording)
    (recording / DESCRIPTION).write_text("{")
    with pytest.raises(RecordingError, match="is damaged"):
        read_description(recording)
    file = window_files(recording)[0]
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(RecordingError, match="window_000000"):
        read_window(file)
    for file in window_files(recording):
        file.unlink()
    with pytest.raises(RecordingError, match="no windows"):
        window_files(recording)
