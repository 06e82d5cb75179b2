from __future__ import annotations

import errno
import json
import pickle
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pamiq_lightning.checkpoint import store
from pamiq_lightning.checkpoint.snapshot import check_fit, read_checkpoint
from pamiq_lightning.checkpoint.store import (
    MANIFEST,
    CheckpointError,
    find_checkpoints,
    prune,
    read_settings,
    verify,
    with_checksum,
)
from pamiq_lightning.exchange.rollouts import Rollout
from pamiq_lightning.learners.base import Learner
from pamiq_lightning.trainer.settings import TrainerSettings
from pamiq_lightning.utils.atomic_io import write_synced
from pamiq_lightning.utils.instantiate import build
from tests.pamiq_lightning.trainer.trainer_fixture import (
    SETTINGS,
    TrainerFixture,
    forge_checksums,
    trainer_builder,
)
from tests.synthetic import LEARNERS

FILES = (
    MANIFEST,
    "settings.json",
    "trainer.pt",
    "agent.safetensors",
    *(f"{role}.safetensors" for role in LEARNERS),
    *(f"{role}.pt" for role in LEARNERS),
    *(f"{role}_previous.safetensors" for role in LEARNERS if role != "decoder"),
)


TrainerBuilder = Callable[..., TrainerFixture]


@pytest.fixture
def build_trainer() -> Iterator[TrainerBuilder]:
    with trainer_builder() as builder:
        yield builder


@pytest.fixture(scope="module")
def saved_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a short run with one checkpoint."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("saved_run")
    with trainer_builder() as builder:
        trainer = builder(folder / "run", folder / "exchange")
        trainer.publish()
        trainer.run(3)
        trainer.checkpointer.save()
    return folder / "run"


@pytest.fixture
def checkpoint(saved_run: Path, tmp_path: Path) -> Path:
    """Return a copy of a checkpoint, to be damaged."""
    shutil.copytree(saved_run, tmp_path / "run")
    return tmp_path / "run" / "checkpoints" / "000001"


def test_trainer_resumes_exactly_from_a_checkpoint(
    tmp_path: Path, build_trainer: TrainerBuilder
) -> None:
    whole = build_trainer(tmp_path / "a", tmp_path / "exchange_a")
    whole.publish()
    whole.run(4, replay_updates=2)
    # Two rollouts are pending; the first worker has trained on one of them.
    whole.fill()
    whole.workers[0].train(whole.log, lambda: False)
    whole.fill()
    folder = whole.checkpointer.save()
    rng = random.random(), float(np.random.rand()), float(torch.rand(()))
    logged = len(whole.metrics())
    shutil.copytree(tmp_path / "a", tmp_path / "b")

    half = build_trainer(tmp_path / "b", tmp_path / "exchange_b", first=whole.rollouts.filled)
    random.seed(9)
    np.random.seed(9)
    torch.manual_seed(9)
    read = read_checkpoint(tmp_path / "b" / "checkpoints" / folder.name)
    half.checkpointer.load_learners(read)
    half.checkpointer.load_rollouts(read)
    assert (random.random(), float(np.random.rand()), float(torch.rand(()))) == rng
    assert all(worker.writer is None or worker.writer.version == 0 for worker in half.workers)
    for trainer in (whole, half):
        torch.manual_seed(3)
        trainer.train(replay_updates=3)
        trainer.run(3, replay_updates=2)
    assert half.metrics() == whole.metrics()[logged:]
    for name, tensor in whole.weights().items():
        assert torch.equal(tensor, half.weights()[name]), name
    for one, other in zip(whole.workers, half.workers, strict=True):
        ours, theirs = one.metrics(), other.metrics()
        for timed in ("seconds", "version"):
            del ours[timed], theirs[timed]
        assert ours == theirs


def test_checkpoint_has_all_its_content(checkpoint: Path) -> None:
    read = read_checkpoint(checkpoint)
    assert sorted(read.manifest["files"]) == sorted(set(FILES) - {MANIFEST})
    assert read.manifest["rollout"] == 3
    assert read.settings == SETTINGS
    assert read.agent is not None and read.agent[0]["t"].tolist() == [2]
    assert {role: version for role, (version, _) in read.previous.items()} == {
        "encoder": 3,
        "dynamics": 3,
        "policy": 3,
    }
    check_fit(read, build_learners())


def build_learners(**changed: Any) -> dict[str, Learner]:
    return {role: build(Learner, spec) for role, spec in {**LEARNERS, **changed}.items()}


def flip(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


DAMAGE: dict[str, Callable[[Path], object]] = {
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-7]),
    "flipped": lambda path: path.write_bytes(flip(path.read_bytes())),
    "emptied": lambda path: path.write_bytes(b""),
    "missing": lambda path: path.unlink(),
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_to_any_file_is_reported_by_its_name(
    checkpoint: Path, name: str, damage: str
) -> None:
    DAMAGE[damage](checkpoint / name)
    with pytest.raises(CheckpointError, match=f"000001/{name}"):
        verify(checkpoint)
    with pytest.raises(CheckpointError, match=f"000001/{name}"):
        read_checkpoint(checkpoint)


def test_a_flipped_bit_anywhere_in_the_manifest_is_detected(checkpoint: Path) -> None:
    path = checkpoint / MANIFEST
    content = path.read_bytes()
    for index in range(0, len(content), 13):
        path.write_bytes(content[:index] + bytes([content[index] ^ 4]) + content[index + 1 :])
        with pytest.raises(CheckpointError, match=MANIFEST):
            verify(checkpoint)
    path.write_bytes(content)
    verify(checkpoint)


def test_a_newer_format_is_refused(checkpoint: Path) -> None:
    path = checkpoint / MANIFEST
    manifest = json.loads(path.read_text())
    del manifest["sha256"]
    path.write_bytes(with_checksum(manifest | {"format": store.FORMAT + 1}))
    with pytest.raises(CheckpointError, match=r"manifest\.json has format 2.*newer"):
        read_checkpoint(checkpoint)


@pytest.mark.parametrize("role", list(LEARNERS))
def test_weights_of_another_model_are_refused_by_file_name(checkpoint: Path, role: str) -> None:
    change = {
        "encoder": "width",
        "dynamics": "mix_features",
        "policy": "dim",
        "decoder": "channels",
    }
    spec = LEARNERS[role]
    other = {
        **spec,
        "init_args": {**spec["init_args"], change[role]: 12 if role != "policy" else 48},
    }
    learners = build_learners(**{role: other})
    with pytest.raises(CheckpointError, match=rf"{role}\.safetensors does not fit"):
        check_fit(read_checkpoint(checkpoint), learners)


def test_another_optimizer_replay_or_set_of_learners_is_refused(checkpoint: Path) -> None:
    spec = LEARNERS["decoder"]
    other = {**spec, "init_args": {**spec["init_args"], "capacity": 60}}
    learners = build_learners(decoder=other)
    read = read_checkpoint(checkpoint)
    with pytest.raises(CheckpointError, match=r"decoder\.pt does not fit.*60 rows"):
        check_fit(read, learners)
    with pytest.raises(CheckpointError, match="the settings have encoder"):
        check_fit(read, {"encoder": learners["encoder"]})
    read.learners["encoder"]["updater"]["optimizer"]["param_groups"].pop()
    with pytest.raises(CheckpointError, match=r"encoder\.pt does not fit"):
        check_fit(read, {**learners, **build_learners(encoder=LEARNERS["encoder"])})


class Canary:
    """Creates a file when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path.touch, (Path("exploded"),))  # type: ignore[return-value]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("form", ["pickle", "torch"])
def test_no_content_of_any_file_is_executed(
    checkpoint: Path, name: str, form: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    allowed, load = [], torch.load

    def spy(*arguments: Any, **options: Any) -> Any:
        allowed.append(options.get("weights_only"))
        return load(*arguments, **options)

    monkeypatch.setattr(torch, "load", spy)
    if form == "torch":
        torch.save({"state_dict": Canary()}, checkpoint / name)
    else:
        (checkpoint / name).write_bytes(pickle.dumps({"a": Canary()}, protocol=2))
    if name != MANIFEST:
        forge_checksums(checkpoint)
    with pytest.raises(CheckpointError, match=f"000001/{name}"):
        read_checkpoint(checkpoint)
    assert all(value is True for value in allowed)
    assert not Path("exploded").exists()


def test_replay_rows_are_never_unpickled(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, build_trainer: TrainerBuilder
) -> None:
    monkeypatch.chdir(tmp_path)
    run = checkpoint.parent.parent
    for path in (run / "checkpoints" / "rows").rglob("*.rows"):
        size = path.stat().st_size
        content = pickle.dumps(Canary())
        path.write_bytes((content * (size // len(content) + 1))[:size])
    trainer = build_trainer(run, tmp_path / "exchange", first=3)
    trainer.checkpointer.load_learners(read_checkpoint(checkpoint))
    trainer.run(1)
    assert not Path("exploded").exists()


def test_prune_keeps_the_last_and_every_nth(tmp_path: Path, build_trainer: TrainerBuilder) -> None:
    settings = TrainerSettings(keep_last=2, keep_every=3)
    trainer = build_trainer(tmp_path / "run", tmp_path / "exchange", trainer=settings)
    for _ in range(7):
        trainer.checkpointer.save()
    assert [f.name for f in find_checkpoints(tmp_path / "run")] == ["000007", "000006", "000003"]
    prune(tmp_path / "run", 1, None)
    (left,) = find_checkpoints(tmp_path / "run")
    verify(left)


def test_prune_leaves_a_checkpoint_in_use_for_the_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "checkpoints"
    for number in range(1, 5):
        (root / f"{number:06d}").mkdir(parents=True)
    rename = Path.rename

    def refuse(path: Path, target: Path) -> Path:
        if path.name == "000002":
            raise PermissionError("the folder is in use")
        return rename(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", refuse)
        prune(tmp_path, 1, None)
    assert sorted(path.name for path in root.iterdir()) == ["000002", "000004"]
    prune(tmp_path, 1, None)
    assert sorted(path.name for path in root.iterdir()) == ["000004"]


@pytest.mark.parametrize("file", range(8))
def test_a_refused_save_leaves_the_checkpoint_before_and_can_be_repeated(
    tmp_path: Path, build_trainer: TrainerBuilder, monkeypatch: pytest.MonkeyPatch, file: int
) -> None:
    run = tmp_path / "run"
    trainer = build_trainer(run, tmp_path / "exchange")
    trainer.run(1)
    trainer.checkpointer.save()
    written = []

    def refuse(path: Path, content: bytes) -> None:
        written.append(path)
        if len(written) % (file + 1) == 0:
            # As much as fits on the disk.
            path.write_bytes(content[: len(content) // 2])
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        write_synced(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(store, "write_synced", refuse)
        for _ in range(3):
            assert not trainer.checkpointer.try_to_save()
    (message,) = trainer.messages
    assert message.startswith("no checkpoint can be saved (No space left on device): agent")
    (before,) = find_checkpoints(run)
    read_checkpoint(before)
    assert not list((run / "checkpoints").glob(".*"))
    assert trainer.checkpointer.try_to_save()
    assert trainer.messages[1:] == ["checkpoints are saved again"]
    assert len(find_checkpoints(run)) == 2


def test_stored_settings_must_be_a_mapping(checkpoint: Path) -> None:
    (checkpoint / "settings.json").write_text("[]")
    with pytest.raises(CheckpointError, match=r"settings\.json"):
        read_settings(checkpoint)


def test_nonfinite_weights_are_rolled_back_before_a_save(
    tmp_path: Path, build_trainer: TrainerBuilder
) -> None:
    trainer = build_trainer(tmp_path / "run", tmp_path / "exchange")
    trainer.run(1)
    with torch.no_grad():
        next(trainer.workers[2].learner.parameters())[:] = float("nan")
    read = read_checkpoint(trainer.checkpointer.save())
    for weights in read.weights.values():
        assert all(bool(tensor.isfinite().all()) for tensor in weights.values())
    assert trainer.workers[2].updater.rollbacks == 1


def test_checkpointer_saves_after_the_first_rollout_and_then_every_nth(
    tmp_path: Path, build_trainer: TrainerBuilder
) -> None:
    settings = TrainerSettings(save_every=3)
    trainer = build_trainer(tmp_path / "run", tmp_path / "exchange", trainer=settings)
    saved = []
    for number in range(8):
        trainer.fill()
        trainer.train()
        before = find_checkpoints(tmp_path / "run")[:1]
        trainer.checkpointer(Rollout(number, {}, {}))
        saved += [number] * (find_checkpoints(tmp_path / "run")[:1] != before)
    assert saved == [0, 3, 6]
