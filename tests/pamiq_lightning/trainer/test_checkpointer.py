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
from pamiq_lightning.checkpoint.store import (
    MANIFEST,
    CheckpointError,
    _sealed,
    find_checkpoints,
    prune,
    read_settings,
    verify,
)
from pamiq_lightning.trainer import checkpointer
from pamiq_lightning.trainer.checkpointer import check_fit, read_checkpoint
from pamiq_lightning.trainer.settings import TrainerSettings
from pamiq_lightning.utils.atomic_io import write_atomic
from tests.pamiq_lightning.trainer.trainer_fixture import (
    SETTINGS,
    TrainerFixture,
    close_all,
    seal_again,
)
from tests.synthetic import LEARNERS

FILES = (
    MANIFEST,
    "settings.json",
    "trainer.pt",
    "agent.safetensors",
    *(f"{role}.safetensors" for role in LEARNERS),
    *(f"{role}.pt" for role in LEARNERS),
    *(f"{role}_before.safetensors" for role in LEARNERS if role != "decoder"),
)


@pytest.fixture(autouse=True)
def _logs() -> Iterator[None]:
    yield
    close_all()


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the run folder of a short life with one checkpoint."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("lived")
    trainer_fixture = TrainerFixture(folder / "run", folder / "exchange")
    for worker in trainer_fixture.workers:
        worker.publish()
    trainer_fixture.live(3)
    trainer_fixture.checkpointer.save()
    close_all()
    return folder / "run"


@pytest.fixture
def checkpoint(lived: Path, tmp_path: Path) -> Path:
    """Return a checkpoint that may be spoiled."""
    shutil.copytree(lived, tmp_path / "run")
    return tmp_path / "run" / "checkpoints" / "000001"


def test_what_goes_on_from_a_checkpoint_is_what_would_have_gone_on(tmp_path: Path) -> None:
    whole = TrainerFixture(tmp_path / "a", tmp_path / "exchange_a")
    for worker in whole.workers:
        worker.publish()
    whole.live(4, replay_updates=2)
    # Two windows wait, of which some learners have had one.
    whole.fill()
    whole.workers[0].train(whole.log, lambda: False)
    whole.fill()
    folder = whole.checkpointer.save()
    rng = random.random(), float(np.random.rand()), float(torch.rand(()))
    logged = len(whole.metrics())
    shutil.copytree(tmp_path / "a", tmp_path / "b")

    half = TrainerFixture(tmp_path / "b", tmp_path / "exchange_b", first=whole.rollouts.filled)
    random.seed(9)
    np.random.seed(9)
    torch.manual_seed(9)
    read = read_checkpoint(tmp_path / "b" / "checkpoints" / folder.name)
    half.checkpointer.restore_learners(read)
    half.checkpointer.restore_rollouts(read)
    assert (random.random(), float(np.random.rand()), float(torch.rand(()))) == rng
    for trainer_fixture in (whole, half):
        torch.manual_seed(3)
        if trainer_fixture is half:
            for worker in half.workers:
                assert worker.writer is None or worker.writer.version == 0
        trainer_fixture.train(replay_updates=3)
        trainer_fixture.live(3, replay_updates=2)
    assert half.metrics() == whole.metrics()[logged:]
    for name, tensor in whole.weights().items():
        assert torch.equal(tensor, half.weights()[name]), name
    for one, other in zip(whole.workers, half.workers, strict=True):
        ours, theirs = one.metrics(), other.metrics()
        for timed in ("seconds", "version"):
            del ours[timed], theirs[timed]
        assert ours == theirs


def test_it_tells_what_it_is(checkpoint: Path) -> None:
    read = read_checkpoint(checkpoint)
    assert sorted(read.manifest["files"]) == sorted(set(FILES) - {MANIFEST})
    assert read.manifest["rollout"] == 3
    assert read.settings == SETTINGS
    assert read.agent is not None and read.agent[0]["t"].tolist() == [2]
    assert {role: version for role, (version, _) in read.before.items()} == {
        "encoder": 3,
        "dynamics": 3,
        "policy": 3,
    }
    check_fit(read, {t.role: t.learner for t in fresh(checkpoint)})


def fresh(checkpoint: Path, **learners: Any) -> list[Any]:
    folder = checkpoint.parent.parent.parent / "fresh"
    trainer_fixture = TrainerFixture(
        folder / "run", folder / "exchange", learners={**LEARNERS, **learners}
    )
    return trainer_fixture.workers


def flip(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


DAMAGE: dict[str, Callable[[Path], object]] = {
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-7]),
    "flipped": lambda path: path.write_bytes(flip(path.read_bytes())),
    "emptied": lambda path: path.write_bytes(b""),
    "gone": lambda path: path.unlink(),
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", DAMAGE)
def test_f9_damage_to_any_file_is_told_by_its_name(
    checkpoint: Path, name: str, damage: str
) -> None:
    DAMAGE[damage](checkpoint / name)
    with pytest.raises(CheckpointError, match=f"000001/{name}"):
        verify(checkpoint)
    with pytest.raises(CheckpointError, match=f"000001/{name}"):
        read_checkpoint(checkpoint)


def test_f9_every_single_flipped_bit_of_a_manifest_is_seen(checkpoint: Path) -> None:
    path = checkpoint / MANIFEST
    content = path.read_bytes()
    for place in range(0, len(content), 13):
        path.write_bytes(content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :])
        with pytest.raises(CheckpointError, match=MANIFEST):
            verify(checkpoint)
    path.write_bytes(content)
    verify(checkpoint)


def test_f9_a_newer_version_is_refused_as_one(checkpoint: Path) -> None:
    path = checkpoint / MANIFEST
    manifest = json.loads(path.read_text())
    del manifest["sha256"]
    path.write_bytes(_sealed(manifest | {"format": store.FORMAT + 1}))
    with pytest.raises(CheckpointError, match=r"manifest\.json has format 2.*newer"):
        read_checkpoint(checkpoint)


@pytest.mark.parametrize("role", list(LEARNERS))
def test_f9_another_model_is_refused_by_the_name_of_its_file(checkpoint: Path, role: str) -> None:
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
    learners = {t.role: t.learner for t in fresh(checkpoint, **{role: other})}
    with pytest.raises(CheckpointError, match=rf"{role}\.safetensors does not fit"):
        check_fit(read_checkpoint(checkpoint), learners)


def test_f9_another_optimizer_memory_or_set_of_learners_is_refused(checkpoint: Path) -> None:
    spec = LEARNERS["decoder"]
    other = {**spec, "init_args": {**spec["init_args"], "capacity": 60}}
    learners = {t.role: t.learner for t in fresh(checkpoint, decoder=other)}
    read = read_checkpoint(checkpoint)
    with pytest.raises(CheckpointError, match=r"decoder\.pt does not fit.*60 rows"):
        check_fit(read, learners)
    with pytest.raises(CheckpointError, match="the settings have encoder"):
        check_fit(read, {"encoder": learners["encoder"]})
    read.learners["encoder"]["updater"]["optimizer"]["param_groups"].pop()
    with pytest.raises(CheckpointError, match=r"encoder\.pt does not fit"):
        check_fit(read, {**learners, "decoder": fresh_decoder(checkpoint)})


def fresh_decoder(checkpoint: Path) -> Any:
    folder = checkpoint.parent.parent.parent / "again"
    (worker,) = TrainerFixture(
        folder / "run", folder / "exchange", learners={"decoder": LEARNERS["decoder"]}
    ).workers
    return worker.learner


class Canary:
    """Leaves a file when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path.touch, (Path("exploded"),))  # type: ignore[return-value]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("form", ["pickle", "torch"])
def test_f10_nothing_in_any_file_is_executed(
    checkpoint: Path, name: str, form: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    allowed, load = [], torch.load

    def watched(*arguments: Any, **options: Any) -> Any:
        allowed.append(options.get("weights_only"))
        return load(*arguments, **options)

    monkeypatch.setattr(torch, "load", watched)
    if form == "torch":
        torch.save({"state_dict": Canary()}, checkpoint / name)
    else:
        (checkpoint / name).write_bytes(pickle.dumps({"a": Canary()}, protocol=2))
    if name != MANIFEST:
        seal_again(checkpoint)
    with pytest.raises(CheckpointError, match=f"000001/{name}"):
        read_checkpoint(checkpoint)
    assert all(value is True for value in allowed)
    assert not Path("exploded").exists()


def test_f10_rows_are_numbers_whatever_is_in_them(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    run = checkpoint.parent.parent
    for path in (run / "checkpoints" / "rows").rglob("*.rows"):
        size = path.stat().st_size
        content = pickle.dumps(Canary())
        path.write_bytes((content * (size // len(content) + 1))[:size])
    trainer_fixture = TrainerFixture(run, tmp_path / "exchange", first=3)
    trainer_fixture.checkpointer.restore_learners(read_checkpoint(checkpoint))
    trainer_fixture.live(1)
    assert not Path("exploded").exists()


def test_old_ones_go_but_every_so_manieth(tmp_path: Path) -> None:
    trainer = TrainerSettings(keep_last=2, keep_every=3)
    trainer_fixture = TrainerFixture(tmp_path / "run", tmp_path / "exchange", trainer=trainer)
    for _ in range(7):
        trainer_fixture.checkpointer.save()
    assert [f.name for f in find_checkpoints(tmp_path / "run")] == [
        "000007",
        "000006",
        "000003",
    ]
    prune(tmp_path / "run", 1, None)
    (left,) = find_checkpoints(tmp_path / "run")
    verify(left)


def test_one_that_cannot_be_removed_is_left_for_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "checkpoints"
    for number in range(1, 5):
        (root / f"{number:06d}").mkdir(parents=True)
    rename = Path.rename

    def refuse(path: Path, target: Path) -> Path:
        if path.name == "000002":
            raise PermissionError("somebody has it open")
        return rename(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", refuse)
        prune(tmp_path, 1, None)
    assert sorted(path.name for path in root.iterdir()) == ["000002", "000004"]
    prune(tmp_path, 1, None)
    assert sorted(path.name for path in root.iterdir()) == ["000004"]


@pytest.mark.parametrize("file", range(8))
def test_f8_a_disk_that_refuses_leaves_the_one_before_and_is_tried_again(
    lived: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    file: int,
) -> None:
    run = tmp_path / "run"
    trainer_fixture = TrainerFixture(run, tmp_path / "exchange")
    trainer_fixture.live(1)
    trainer_fixture.checkpointer.save()
    written = []

    def refuse(path: Path, content: bytes) -> None:
        written.append(path)
        if len(written) % (file + 1) == 0:
            # As much as there is room for.
            path.write_bytes(content[: len(content) // 2])
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        write_atomic(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(store, "write_atomic", refuse)
        for _ in range(3):
            assert not trainer_fixture.checkpointer.try_to_save()
    assert capfd.readouterr().out.count("not saved") == 1
    assert trainer_fixture.errors == 3 * [errno.ENOSPC]
    (before,) = find_checkpoints(run)
    read_checkpoint(before)
    assert not list((run / "checkpoints").glob(".*"))
    assert trainer_fixture.checkpointer.try_to_save()
    assert trainer_fixture.errors[-1] == 0
    assert len(find_checkpoints(run)) == 2


def test_settings_that_are_none_are_refused(checkpoint: Path) -> None:
    (checkpoint / "settings.json").write_text("[]")
    with pytest.raises(CheckpointError, match=r"settings\.json"):
        read_settings(checkpoint)


def test_weights_that_are_not_finite_are_never_saved(tmp_path: Path) -> None:
    trainer_fixture = TrainerFixture(tmp_path / "run", tmp_path / "exchange")
    trainer_fixture.live(1)
    with torch.no_grad():
        next(trainer_fixture.workers[2].learner.parameters())[:] = float("nan")
    read = read_checkpoint(trainer_fixture.checkpointer.save())
    for weights in read.weights.values():
        assert all(bool(tensor.isfinite().all()) for tensor in weights.values())
    assert trainer_fixture.workers[2].updater.rollbacks == 1


def test_it_is_saved_after_the_first_rollout_and_then_every_so_many(tmp_path: Path) -> None:
    trainer = TrainerSettings(save_every=3)
    trainer_fixture = TrainerFixture(tmp_path / "run", tmp_path / "exchange", trainer=trainer)
    saved = []
    for number in range(8):
        trainer_fixture.fill()
        trainer_fixture.train()
        before = len(trainer_fixture.errors)
        trainer_fixture.checkpointer(checkpointer.Rollout(number, {}, {}))
        saved += [number] * (len(trainer_fixture.errors) - before)
    assert saved == [0, 3, 6]
