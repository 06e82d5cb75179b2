from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from pamiq_lightning.checkpoint.files import CheckpointError, save, weights_bytes
from pamiq_lightning.checkpoint.store import find_checkpoints, write_checkpoint
from pamiq_lightning.learners.base import Learner
from pamiq_lightning.learners.ijepa import IJEPA
from pamiq_lightning.learners.roles import Dynamics, Encoder
from pamiq_lightning.offline.cache import CACHE
from pamiq_lightning.offline.dataset import RecordingDataset, elapsed
from pamiq_lightning.offline.frozen import FrozenEncoders, choose_frozen, from_checkpoint
from pamiq_lightning.recording.schema import RecordingError
from pamiq_lightning.utils.instantiate import build
from tests.synthetic import LEARNERS, arrays, record


def checkpoint(folder: Path, role: str) -> Path:
    learner = build(Learner, LEARNERS[role])
    optimizer = learner.configure_optimizers()
    assert isinstance(optimizer, torch.optim.Optimizer)
    save(learner, optimizer, folder / f"{role}.ckpt")
    return folder / f"{role}.ckpt"


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    # Steps are missing between the second and the third rollout.
    return record(tmp_path / "recording", [arrays(16, start) for start in (0, 16, 40)])


def test_latents_equal_the_encoders_and_are_computed_once(
    recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = checkpoint(tmp_path, "encoder")
    encoder = from_checkpoint(path, Encoder)
    for _ in range(2):
        dataset = RecordingDataset(recording, FrozenEncoders(encoder=path), (2, 16))
        (first, *_) = dataset.rollouts(np.ones(48, np.bool_), {"frame", "latent", "state"})
        torch.testing.assert_close(first["latent"], encoder.encode(first["frame"]))
        # No dynamics were given.
        assert first["state"].abs().max() == 0
    assert capsys.readouterr().out.count("recomputing every latent") == 1
    assert len(list((recording / CACHE).iterdir())) == 1


def test_recomputed_states_equal_stepping_by_hand(recording: Path, tmp_path: Path) -> None:
    frozen = FrozenEncoders(checkpoint(tmp_path, "encoder"), checkpoint(tmp_path, "dynamics"))
    assert frozen.dynamics is not None
    dynamics = from_checkpoint(frozen.dynamics, Dynamics)
    rollouts = RecordingDataset(recording, frozen).rollouts(
        np.ones(48, np.bool_), {"latent", "state"}
    )
    steps = torch.cat(list(rollouts))
    state, blank = torch.zeros(1, 2, 16), torch.zeros(1, 2, 16)
    for row in range(48):
        if row in (0, 32):
            state = blank
        torch.testing.assert_close(steps["state"][row], state[0], rtol=1e-4, atol=1e-5)
        _, state = dynamics.step(steps["latent"][row][None], steps["action"][row][None], state)


def test_from_checkpoint_refuses_a_learner_of_another_role(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no checkpoint"):
        from_checkpoint(tmp_path / "none.ckpt", Encoder)
    path = checkpoint(tmp_path, "dynamics")
    with pytest.raises(CheckpointError, match=r"SioConvDynamics, which is no .*roles.Encoder"):
        from_checkpoint(path, Encoder)


def test_choose_frozen_prefers_given_checkpoints(recording: Path, tmp_path: Path) -> None:
    learners = {role: build(Learner, spec) for role, spec in LEARNERS.items()}
    nothing = FrozenEncoders()
    assert choose_frozen(recording, nothing, learners["encoder"]) == nothing
    with pytest.raises(RecordingError, match=r"needs latents.*--data.encoder"):
        choose_frozen(recording, nothing, learners["decoder"])
    (tmp_path / "checkpoints").mkdir()
    encoder = checkpoint(tmp_path / "checkpoints", "encoder")
    assert choose_frozen(recording, nothing, learners["decoder"]) == FrozenEncoders(encoder)
    with pytest.raises(RecordingError, match=r"needs states.*--data.dynamics"):
        choose_frozen(recording, nothing, learners["policy"])
    dynamics = checkpoint(tmp_path / "checkpoints", "dynamics")
    assert choose_frozen(recording, nothing, learners["policy"]) == FrozenEncoders(
        encoder, dynamics
    )
    # Dynamics in training start from a blank state.
    assert choose_frozen(recording, nothing, learners["dynamics"]) == FrozenEncoders(encoder)
    # The run's own dynamics know no other encoder's latents.
    other = FrozenEncoders(checkpoint(tmp_path, "encoder"))
    with pytest.raises(RecordingError, match="needs states"):
        choose_frozen(recording, other, learners["policy"])
    both = FrozenEncoders(other.encoder, checkpoint(tmp_path, "dynamics"))
    assert choose_frozen(recording, both, learners["policy"]) == both


def test_choose_frozen_takes_the_newest_intact_numbered_checkpoint(
    recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    decoder, encoder = build(Learner, LEARNERS["decoder"]), build(Learner, LEARNERS["encoder"])
    for _ in range(2):
        write_checkpoint(tmp_path, [("encoder.safetensors", weights_bytes(encoder))], {})
    newest, before = (folder / "encoder.safetensors" for folder in find_checkpoints(tmp_path))
    assert choose_frozen(recording, FrozenEncoders(), decoder) == FrozenEncoders(newest)
    assert from_checkpoint(newest, IJEPA).shared_shapes["latent"] == (4, 8)
    newest.write_bytes(newest.read_bytes()[:-1])
    assert choose_frozen(recording, FrozenEncoders(), decoder) == FrozenEncoders(before)
    assert str(newest) in capsys.readouterr().out


def test_elapsed_counts_a_restarted_clock_as_one_step() -> None:
    assert elapsed(np.array([100.0, 101.0, 3.0, 5.0]), 0.1).tolist() == pytest.approx(
        [0.0, 1.0, 1.1, 3.1]
    )
