from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch

from pamiq_lightning.class_spec import build
from pamiq_lightning.learners.base import Learner
from pamiq_lightning.trainer.checkpoint import (
    CheckpointError,
    load_optimizer,
    load_weights,
    save,
)
from tests.samples import DYNAMICS, PPO


def save_weights(learner: Learner, path: Path) -> None:
    optimizer = learner.configure_optimizers()
    assert isinstance(optimizer, torch.optim.Optimizer)
    save(learner, optimizer, path)


def test_the_optimizer_comes_back_too(tmp_path: Path) -> None:
    learner = build(Learner, PPO)
    optimizer = learner.configure_optimizers()
    assert isinstance(optimizer, torch.optim.Optimizer)
    for p in learner.parameters():
        p.grad = torch.ones_like(p)
    optimizer.step()
    save(learner, optimizer, tmp_path / "a.ckpt")
    again = learner.configure_optimizers()
    assert isinstance(again, torch.optim.Optimizer)
    load_optimizer(again, tmp_path / "a.ckpt")
    for one, other in zip(optimizer.state.values(), again.state.values(), strict=True):
        assert torch.equal(one["exp_avg"], other["exp_avg"])


def test_what_was_saved_comes_back_here_and_in_lightning(tmp_path: Path) -> None:
    learner, other = build(Learner, PPO), build(Learner, PPO)
    save_weights(learner, tmp_path / "checkpoints" / "policy.ckpt")
    load_weights(other, tmp_path / "checkpoints" / "policy.ckpt")
    for name, value in learner.state_dict().items():
        assert torch.equal(value, other.state_dict()[name])
    path = tmp_path / "checkpoints" / "policy.ckpt"
    again = type(learner).load_from_checkpoint(path, weights_only=True)
    assert again.hparams["dim"] == 32
    assert [p.name for p in path.parent.iterdir()] == ["policy.ckpt"]


def test_another_model_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "a.ckpt"
    save_weights(build(Learner, PPO), path)
    with pytest.raises(CheckpointError, match=r"a\.ckpt does not fit Dynamics"):
        load_weights(build(Learner, DYNAMICS), path)


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path.touch, (Path("exploded"),))  # type: ignore[return-value]


@pytest.mark.parametrize(
    "content", [b"", b"not a file of weights", pickle.dumps({"a": Bomb()}, protocol=2)]
)
def test_damage_and_malice_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "bad.ckpt"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"bad\.ckpt"):
        load_weights(build(Learner, PPO), path)
    torch.save({"state_dict": Bomb()}, path)
    with pytest.raises(CheckpointError, match="not a checkpoint of plain tensors"):
        load_weights(build(Learner, PPO), path)
    assert not (tmp_path / "exploded").exists()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="there is no checkpoint"):
        load_weights(build(Learner, PPO), tmp_path / "none.ckpt")
