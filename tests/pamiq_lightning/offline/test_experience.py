from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from agent.recorder import write_window
from pamiq_lightning.class_spec import build
from pamiq_lightning.exchange.windows import Window
from pamiq_lightning.learners.base import Learner
from pamiq_lightning.learners.dynamics import Dynamics
from pamiq_lightning.learners.ijepa import IJEPA
from pamiq_lightning.offline.experience import CACHE, Experience, Eyes
from pamiq_lightning.offline.files import DESCRIPTION
from pamiq_lightning.offline.frozen import from_checkpoint
from pamiq_lightning.trainer.checkpoint import CheckpointError, save
from tests.samples import LEARNERS, arrays


def checkpoint(folder: Path, role: str) -> Path:
    learner = build(Learner, LEARNERS[role])
    optimizer = learner.configure_optimizers()
    assert isinstance(optimizer, torch.optim.Optimizer)
    save(learner, optimizer, folder / f"{role}.ckpt")
    return folder / f"{role}.ckpt"


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    folder = tmp_path / "recording"
    folder.mkdir()
    (folder / DESCRIPTION).write_text('{"format": 1, "state": [2, 16]}')
    # Between the second window and the third, steps are missing.
    for number, start in enumerate((0, 16, 40)):
        write_window(Window(number, arrays(16, start), {}), folder)
    return folder


def test_cached_latents_equal_fresh_ones_and_are_made_once(
    recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = checkpoint(tmp_path, "encoder")
    acting = from_checkpoint(path, IJEPA).acting
    for _ in range(2):
        experience = Experience(recording, Eyes(encoder=path))
        (first, *_) = experience.windows(np.ones(48, np.bool_))
        torch.testing.assert_close(first["latent"], acting(first["frame"]))
        # Stored states belong to other latents.
        assert first["state"].abs().max() == 0
    assert capsys.readouterr().out.count("making every latent") == 1
    assert len(list((recording / CACHE).iterdir())) == 1


def test_states_made_anew_equal_stepping_by_hand(recording: Path, tmp_path: Path) -> None:
    eyes = Eyes(checkpoint(tmp_path, "encoder"), checkpoint(tmp_path, "dynamics"))
    assert eyes.dynamics is not None
    net = from_checkpoint(eyes.dynamics, Dynamics).net
    windows = Experience(recording, eyes).windows(np.ones(48, np.bool_))
    steps = torch.cat(list(windows))
    state, blank = torch.zeros(1, 2, 16), torch.zeros(1, 2, 16)
    for row in range(48):
        if row in (0, 32):
            state = blank
        torch.testing.assert_close(steps["state"][row], state[0], rtol=1e-4, atol=1e-5)
        _, state = net.step(steps["latent"][row][None], steps["action"][row][None], state)


def test_a_checkpoint_of_another_learner_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no checkpoint"):
        from_checkpoint(tmp_path / "none.ckpt", IJEPA)
    path = checkpoint(tmp_path, "dynamics")
    with pytest.raises(ValueError, match=r"is not a .*IJEPA"):
        from_checkpoint(path, IJEPA)
