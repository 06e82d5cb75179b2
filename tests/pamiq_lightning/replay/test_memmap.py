from __future__ import annotations

import errno
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from tensordict import TensorDict

from pamiq_lightning.learners.base import Learner, ReplaySpec
from pamiq_lightning.replay import memmap
from pamiq_lightning.replay.factory import make_replay
from pamiq_lightning.replay.memmap import MemmapRows
from pamiq_lightning.replay.sequence import SequenceReplay
from pamiq_lightning.replay.uniform import UniformReplay
from pamiq_lightning.utils.instantiate import build
from tests.synthetic import PPO, SHAPE, rollout

LEARNER = build(Learner, PPO)
UNIFORM = ReplaySpec("uniform", capacity=40, batch_size=8, updates=5, turnover=1.0)
SEQUENCE = ReplaySpec("sequence", capacity=40, batch_size=4, updates=5, length=6)
KEYS = ("index", "frame", "time", "reward", "is_first", "versions", "valid")
FIELDS = {key: (SHAPE.fields()[key].shape, SHAPE.fields()[key].dtype) for key in KEYS}


def with_files(spec: ReplaySpec, folder: Path) -> UniformReplay | SequenceReplay:
    replay = make_replay(spec, folder, FIELDS)
    assert isinstance(replay, UniformReplay | SequenceReplay)
    return replay


def files(replay: UniformReplay | SequenceReplay) -> MemmapRows:
    assert replay.rows is not None
    return replay.rows


def steps(rows: int, start: int) -> TensorDict:
    """Return rows whose frames repeat their numbers, so that a torn row shows."""
    made = rollout(rows, start).select(*KEYS)
    made["frame"][:] = (made["index"] % 251).to(torch.uint8)[:, None, None, None]
    return made


def assert_whole(batch: TensorDict) -> None:
    number = (batch["time"].long() % 251).to(torch.uint8)
    assert (batch["frame"].flatten(batch.ndim) == number[..., None]).all()


@pytest.mark.parametrize("spec", [UNIFORM, SEQUENCE])
def test_replay_with_files_resumes_where_it_was_saved(tmp_path: Path, spec: ReplaySpec) -> None:
    saved, in_memory = with_files(spec, tmp_path), make_replay(spec)
    for replay in (saved, in_memory):
        torch.manual_seed(1)
        for start in range(0, 96, 16):
            replay.extend(steps(16, start))
    saved.flush()
    state, rng = saved.state_dict(), torch.get_rng_state()
    resumed = with_files(spec, tmp_path)
    assert resumed.load_state_dict(state) is None
    for replay in (resumed, in_memory):
        torch.set_rng_state(rng)
        replay.extend(steps(16, 96))
    for one, other in zip(resumed.batches(LEARNER), in_memory.batches(LEARNER), strict=True):
        assert_whole(one)
        assert_whole(other)
    rng = torch.get_rng_state()
    first = list(resumed.batches(LEARNER))
    torch.set_rng_state(rng)
    for one, other in zip(first, in_memory.batches(LEARNER), strict=True):
        assert torch.equal(one["time"], other["time"])


@pytest.mark.parametrize("spec", [UNIFORM, SEQUENCE])
def test_rows_written_after_the_save_are_whole_or_not_sampled(
    tmp_path: Path, spec: ReplaySpec
) -> None:
    replay = with_files(spec, tmp_path)
    for start in range(0, 64, 16):
        replay.extend(steps(16, start))
    state = replay.state_dict()
    replay.extend(steps(16, 64))
    # A kill in the middle of a row: its content is new, its checksum is not.
    files(replay).tensors["frame"][7] = 3
    resumed = with_files(spec, tmp_path)
    resumed.load_state_dict(state)
    for _ in range(20):
        for batch in resumed.batches(LEARNER):
            assert_whole(batch)
            if spec is SEQUENCE:
                assert (batch["time"].diff(dim=1) == 1).all()
                assert batch["time"].max() < 64
    assert len(list(resumed.batches(LEARNER))) == spec.updates


def test_uniform_leaves_out_and_counts_a_row_with_a_wrong_checksum(tmp_path: Path) -> None:
    replay = with_files(UNIFORM, tmp_path)
    replay.extend(steps(30, 0))
    replay.flush()
    with (tmp_path / "frame.rows").open("r+b") as file:
        file.seek(5 * 24 * 24 * 3 + 17)
        file.write(b"\xff")
    resumed = with_files(UNIFORM, tmp_path)
    assert isinstance(resumed, UniformReplay)
    assert resumed.load_state_dict(replay.state_dict()) is None
    for _ in range(10):
        for batch in resumed.batches(LEARNER):
            assert_whole(batch)
    assert resumed.damaged == 1 and len(resumed) == 29
    resumed.extend(steps(5, 100))
    assert len(resumed) == 34


@pytest.mark.parametrize("spec", [UNIFORM, SEQUENCE])
@pytest.mark.parametrize("name", ["frame.rows", "tick.rows", "checksum.rows"])
@pytest.mark.parametrize("size", [None, 0, 40])
def test_files_that_are_cut_or_missing_are_named(
    tmp_path: Path, spec: ReplaySpec, name: str, size: int | None
) -> None:
    replay = with_files(spec, tmp_path)
    replay.extend(steps(30, 0))
    path = tmp_path / name
    if size is None:
        path.unlink()
    else:
        with path.open("r+b") as file:
            file.truncate(size)
    resumed = with_files(spec, tmp_path)
    lost = resumed.load_state_dict(replay.state_dict())
    assert lost is not None and str(path) in lost and "of 30 rows are lost" in lost
    for batch in resumed.batches(LEARNER):
        assert_whole(batch)
    # It fills again.
    resumed.extend(steps(30, 30))
    assert len(list(resumed.batches(LEARNER))) == spec.updates


def test_load_state_dict_refuses_the_state_of_another_buffer(tmp_path: Path) -> None:
    state = with_files(UNIFORM, tmp_path).state_dict()
    other = ReplaySpec("uniform", capacity=50, batch_size=8, updates=5)
    with pytest.raises(ValueError, match=r"has 40 rows .*, the settings say 50 rows"):
        with_files(other, tmp_path / "b").load_state_dict(state)


def test_a_full_disk_stops_growth_but_not_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replay = with_files(UNIFORM, tmp_path)
    assert isinstance(replay, UniformReplay)
    replay.extend(steps(10, 0))
    files(replay).allocated = 12

    def full(path: Path, offset: int, length: int) -> None:
        raise OSError(errno.ENOSPC, "no space")

    with monkeypatch.context() as patch:
        patch.setattr(memmap, "allocate_blocks", full)
        replay.extend(steps(16, 10))
        assert len(replay) == 12
        # New rows replace old ones meanwhile.
        replay.extend(steps(16, 26))
        assert len(replay) == 12
        assert max(batch["time"].max() for batch in replay.batches(LEARNER)) >= 26
        with pytest.raises(OSError, match="no room"):
            with_files(SEQUENCE, tmp_path / "b")
    replay.extend(steps(16, 42))
    assert len(replay) == 28


def test_only_allocated_rows_take_disk_space(tmp_path: Path) -> None:
    rows = MemmapRows(tmp_path, 100_000, {"frame": ((3, 48, 48), np.uint8)})
    assert rows.allocate(10) < 100_000
    used = sum(path.stat().st_blocks * 512 for path in tmp_path.iterdir())
    assert used < 100 << 20
    assert (tmp_path / "frame.rows").stat().st_size == 100_000 * 3 * 48 * 48


@pytest.mark.parametrize("spec", [UNIFORM, SEQUENCE])
def test_rows_copied_while_they_are_written_are_whole_or_not_sampled(
    tmp_path: Path, spec: ReplaySpec
) -> None:
    """Extend, sample and save at once, and load copies made in the middle of it."""
    original = tmp_path / "original"
    replay = with_files(spec, original)
    replay.extend(steps(40, 0))
    states, copied, ended = [replay.state_dict()], list[int](), threading.Event()
    failures: list[BaseException] = []

    def load_copies() -> None:
        try:
            for number in range(15):
                copy = tmp_path / str(number)
                shutil.copytree(original, copy)
                resumed = with_files(spec, copy)
                resumed.load_state_dict(states[-1])
                for batch in resumed.batches(LEARNER):
                    assert_whole(batch)
                    copied.append(len(batch))
        # The main thread fails with it.
        except BaseException as error:
            failures.append(error)
        finally:
            ended.set()

    other = threading.Thread(target=load_copies)
    other.start()
    start = 40
    while not ended.is_set():
        replay.extend(steps(7, start))
        start += 7
        for batch in replay.batches(LEARNER):
            assert_whole(batch)
        replay.flush()
        states.append(replay.state_dict())
    other.join()
    assert not failures, failures[0]
    assert len(states) > 5 and copied
