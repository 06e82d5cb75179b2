from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

from pamiq_lightning.checkpoint.files import (
    CheckpointError,
    load_weights,
    read_learner,
    read_tensors,
    read_values,
    save,
    tensor_bytes,
    value_bytes,
    weights_bytes,
)
from pamiq_lightning.checkpoint.snapshot import Checkpoint, check_fit
from pamiq_lightning.learners.base import Learner
from pamiq_lightning.utils.instantiate import build
from tests.synthetic import DYNAMICS, PPO


def save_weights(learner: Learner, path: Path) -> None:
    optimizer = learner.configure_optimizers()
    assert isinstance(optimizer, torch.optim.Optimizer)
    save(learner, optimizer, path)


def test_learner_safetensors_name_their_learner(tmp_path: Path) -> None:
    learner, other = build(Learner, PPO), build(Learner, PPO)
    path = tmp_path / "policy.safetensors"
    path.write_bytes(weights_bytes(learner))
    load_weights(other, path)
    for name, value in learner.state_dict().items():
        assert torch.equal(value, other.state_dict()[name])
    spec, _ = read_learner(path)
    assert spec is not None and build(Learner, spec).hparams == learner.hparams
    with pytest.raises(CheckpointError, match=r"policy\.safetensors does not fit SioConvDynamics"):
        load_weights(build(Learner, DYNAMICS), path)


def test_optional_parts_are_ignored_or_start_from_scratch(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def dynamics(*aux_heads: str) -> Learner:
        spec = {**DYNAMICS, "init_args": {**DYNAMICS["init_args"], "aux_heads": list(aux_heads)}}
        return build(Learner, spec)

    path = tmp_path / "dynamics.safetensors"
    other, learner = dynamics("ensemble", "progress"), dynamics("ensemble", "novelty")
    fresh = {key: value.clone() for key, value in learner.state_dict().items()}
    path.write_bytes(weights_bytes(other))
    load_weights(learner, path)
    for name, value in learner.state_dict().items():
        of = fresh if name.startswith("net.novelty.") else other.state_dict()
        assert torch.equal(value, of[name]), name
    assert f"{path} has no net.novelty: training these from scratch" in capfd.readouterr().out
    # A file without the required parts does not fit.
    path.write_bytes(weights_bytes(build(Learner, PPO)))
    with pytest.raises(CheckpointError, match="does not fit"):
        load_weights(learner, path)


@pytest.mark.parametrize("content", [b"", b"no tensors", (1 << 60).to_bytes(8, "little")])
def test_damaged_safetensors_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.safetensors"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"bad\.safetensors is not a file of tensors"):
        load_weights(build(Learner, PPO), path)


def test_views_of_shared_storage_are_stored_alone(tmp_path: Path) -> None:
    whole = torch.arange(1000.0)
    path = tmp_path / "a.safetensors"
    path.write_bytes(tensor_bytes({"a": whole[:4], "b": whole[2:6]}, {}))
    read, _ = read_tensors(path)
    assert read["a"].tolist() == [0, 1, 2, 3] and read["b"].tolist() == [2, 3, 4, 5]
    values = tmp_path / "a.pt"
    values.write_bytes(value_bytes({"a": [whole[:4]], "b": (1, None, "x")}))
    assert values.stat().st_size < 2000
    assert read_values(values)["b"] == (1, None, "x")


def test_lightning_checkpoint_loads_here_and_in_lightning(tmp_path: Path) -> None:
    learner, other = build(Learner, PPO), build(Learner, PPO)
    save_weights(learner, tmp_path / "checkpoints" / "policy.ckpt")
    load_weights(other, tmp_path / "checkpoints" / "policy.ckpt")
    for name, value in learner.state_dict().items():
        assert torch.equal(value, other.state_dict()[name])
    path = tmp_path / "checkpoints" / "policy.ckpt"
    again = type(learner).load_from_checkpoint(path, weights_only=True)
    assert again.hparams["dim"] == 32
    assert [p.name for p in path.parent.iterdir()] == ["policy.ckpt"]


def test_weights_of_another_model_are_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "a.ckpt"
    save_weights(build(Learner, PPO), path)
    with pytest.raises(CheckpointError, match=r"a\.ckpt does not fit SioConvDynamics"):
        load_weights(build(Learner, DYNAMICS), path)


class Canary:
    """Creates a file when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path.touch, (Path("exploded"),))  # type: ignore[return-value]


@pytest.mark.parametrize(
    "content", [b"", b"not a file of weights", pickle.dumps({"a": Canary()}, protocol=2)]
)
def test_damaged_and_malicious_checkpoints_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "bad.ckpt"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"bad\.ckpt"):
        load_weights(build(Learner, PPO), path)
    torch.save({"state_dict": Canary()}, path)
    with pytest.raises(CheckpointError, match="not a checkpoint of plain tensors"):
        load_weights(build(Learner, PPO), path)
    assert not (tmp_path / "exploded").exists()


def test_a_missing_checkpoint_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="there is no checkpoint"):
        load_weights(build(Learner, PPO), tmp_path / "none.ckpt")


@pytest.mark.parametrize("part", ["parameter", "buffer"])
@pytest.mark.parametrize("suffix", ["ckpt", "safetensors"])
def test_weights_that_are_not_finite_are_refused_by_name(
    tmp_path: Path, part: str, suffix: str
) -> None:
    learner = build(Learner, PPO)
    learner.register_buffer("scale", torch.ones(3))
    name = "scale" if part == "buffer" else next(iter(dict(learner.named_parameters())))
    learner.state_dict()[name].view(-1)[0] = float("nan")
    path = tmp_path / f"a.{suffix}"
    if suffix == "ckpt":
        save_weights(learner, path)
    else:
        path.write_bytes(weights_bytes(learner))
    with pytest.raises(CheckpointError, match=rf"a\.{suffix}: {name} has 1 of \d+ numbers"):
        load_weights(learner, path)


def test_state_that_is_not_finite_is_refused_by_name(tmp_path: Path) -> None:
    learner = build(Learner, PPO)
    optimizer = learner.configure_optimizers()
    assert isinstance(optimizer, torch.optim.Optimizer)
    sum(p.sum() for p in learner.parameters()).backward()  # type: ignore[union-attr]
    optimizer.step()
    spec = learner.replay

    def check(replay: dict[str, Any]) -> None:
        state = {"updater": {"optimizer": optimizer.state_dict()}, "replay": replay}
        weights = dict(learner.state_dict())
        manifest = {"roles": ["policy"]}
        checkpoint = Checkpoint(
            tmp_path, manifest, {}, {"policy": weights}, {"policy": state}, {}, None, {}
        )
        check_fit(checkpoint, {"policy": learner})

    replay = {"kind": spec.kind, "capacity": spec.capacity}
    check(replay)
    rollouts = [{"reward": torch.tensor([0.0, float("inf")])}]
    with pytest.raises(
        CheckpointError, match=r"policy\.pt .*: replay\.rollouts\.0\.reward has 1 of"
    ):
        check({**replay, "rollouts": rollouts})
    next(iter(optimizer.state.values()))["exp_avg"].fill_(float("nan"))
    with pytest.raises(CheckpointError, match=r"policy\.pt .*: optimizer\.state\.0\.exp_avg has"):
        check(replay)
