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
from pamiq_lightning.replay.memmap import MemmapRows
from pamiq_lightning.replay.sampling import SequenceReplay, UniformReplay, make_replay
from pamiq_lightning.utils.instantiate import build
from tests.synthetic import PPO, SHAPE, rollout

FIELDS = {key: (field.shape, field.dtype) for key, field in SHAPE.fields().items()}
ANY = build(Learner, PPO)
ROWS = ReplaySpec("uniform", capacity=40, batch_size=8, updates=5, turnover=1.0)
SLICES = ReplaySpec("sequence", capacity=40, batch_size=4, updates=5, length=6)
KEYS = ("index", "frame", "time", "reward", "is_first", "versions", "valid")


def remembered(memory: ReplaySpec, folder: Path) -> UniformReplay | SequenceReplay:
    fields = {key: FIELDS[key] for key in KEYS}
    replay = make_replay(memory, folder, fields)
    assert isinstance(replay, UniformReplay | SequenceReplay)
    return replay


def steps(rows: int, start: int) -> TensorDict:
    """Return rows each of which can be told to be whole: its frame is made of its number."""
    made = rollout(rows, start).select(*KEYS)
    made["frame"][:] = (made["index"] % 251).to(torch.uint8)[:, None, None, None]
    return made


def assert_whole(batch: TensorDict) -> None:
    number = (batch["time"].long() % 251).to(torch.uint8)
    assert (batch["frame"].flatten(batch.ndim) == number[..., None]).all()


@pytest.mark.parametrize("memory", [ROWS, SLICES])
def test_a_memory_goes_on_where_it_stood(tmp_path: Path, memory: ReplaySpec) -> None:
    lasting, plain = remembered(memory, tmp_path), make_replay(memory)
    for replay in (lasting, plain):
        torch.manual_seed(1)
        for start in range(0, 96, 16):
            replay.add(steps(16, start))
    lasting.flush()
    state, rng = lasting.state(), torch.get_rng_state()
    again = remembered(memory, tmp_path)
    assert again.restore(state) is None
    for replay in (again, plain):
        torch.set_rng_state(rng)
        replay.add(steps(16, 96))
    for one, other in zip(again.batches(ANY), plain.batches(ANY), strict=True):
        torch.set_rng_state(torch.get_rng_state())
        assert_whole(one)
        assert_whole(other)
    rng = torch.get_rng_state()
    first = list(again.batches(ANY))
    torch.set_rng_state(rng)
    for one, other in zip(first, plain.batches(ANY), strict=True):
        assert torch.equal(one["time"], other["time"])


@pytest.mark.parametrize("memory", [ROWS, SLICES])
def test_rows_written_after_the_save_are_whole_or_not_used(
    tmp_path: Path, memory: ReplaySpec
) -> None:
    replay = remembered(memory, tmp_path)
    for start in range(0, 64, 16):
        replay.add(steps(16, start))
    state = replay.state()
    replay.add(steps(16, 64))
    # Killed in the middle of writing a row: its content is new, its seal is not.
    rows = replay._store.rows
    assert rows is not None
    rows.tensors["frame"][7] = 3
    again = remembered(memory, tmp_path)
    again.restore(state)
    for _ in range(20):
        for batch in again.batches(ANY):
            assert_whole(batch)
            if memory is SLICES:
                assert (batch["time"].diff(dim=1) == 1).all()
                assert batch["time"].max() < 64
    assert len(list(again.batches(ANY))) == memory.updates


def test_a_row_without_its_checksum_is_left_out_and_counted(tmp_path: Path) -> None:
    replay = remembered(ROWS, tmp_path)
    replay.add(steps(30, 0))
    replay.flush()
    with (tmp_path / "frame.rows").open("r+b") as file:
        file.seek(5 * 24 * 24 * 3 + 17)
        file.write(b"\xff")
    again = remembered(ROWS, tmp_path)
    assert again.restore(replay.state()) is None
    for _ in range(10):
        for batch in again.batches(ANY):
            assert_whole(batch)
    assert again.damaged == 1 and len(again) == 29
    again.add(steps(5, 100))
    assert len(again) == 34


@pytest.mark.parametrize("memory", [ROWS, SLICES])
@pytest.mark.parametrize("name", ["frame.rows", "number.rows", "checksum.rows"])
@pytest.mark.parametrize("size", [None, 0, 40])
def test_files_that_are_cut_or_gone_are_named(
    tmp_path: Path, memory: ReplaySpec, name: str, size: int | None
) -> None:
    replay = remembered(memory, tmp_path)
    replay.add(steps(30, 0))
    path = tmp_path / name
    if size is None:
        path.unlink()
    else:
        with path.open("r+b") as file:
            file.truncate(size)
    again = remembered(memory, tmp_path)
    told = again.restore(replay.state())
    assert told is not None and str(path) in told and "of 30 rows are lost" in told
    for batch in again.batches(ANY):
        assert_whole(batch)
    # It fills again.
    again.add(steps(30, 30))
    assert len(list(again.batches(ANY))) == memory.updates


def test_the_state_of_another_memory_is_refused(tmp_path: Path) -> None:
    state = remembered(ROWS, tmp_path).state()
    other = ReplaySpec("uniform", capacity=50, batch_size=8, updates=5)
    with pytest.raises(ValueError, match=r"has 40 rows .*, the settings say 50 rows"):
        remembered(other, tmp_path / "b").restore(state)


def test_a_full_disk_costs_growth_and_not_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replay = remembered(ROWS, tmp_path)
    replay.add(steps(10, 0))
    rows = replay._store.rows
    assert rows is not None
    rows.claimed = 12

    def full(path: Path, offset: int, length: int) -> None:
        raise OSError(errno.ENOSPC, "no space")

    with monkeypatch.context() as patch:
        patch.setattr(memmap, "_allocate", full)
        replay.add(steps(16, 10))
        assert len(replay) == 12
        # New rows take the places of old ones meanwhile.
        replay.add(steps(16, 26))
        assert len(replay) == 12
        assert max(batch["time"].max() for batch in replay.batches(ANY)) >= 26
        with pytest.raises(OSError, match="no room"):
            remembered(SLICES, tmp_path / "b")
    replay.add(steps(16, 42))
    assert len(replay) == 28


def test_only_what_is_claimed_takes_room(tmp_path: Path) -> None:
    rows = MemmapRows(tmp_path, 100_000, {"frame": ((3, 48, 48), np.uint8)})
    assert rows.allocate(10) < 100_000
    used = sum(path.stat().st_blocks * 512 for path in tmp_path.iterdir())
    assert used < 100 << 20
    assert (tmp_path / "frame.rows").stat().st_size == 100_000 * 3 * 48 * 48


@pytest.mark.parametrize("memory", [ROWS, SLICES])
def test_f15_what_is_copied_while_it_is_written_is_whole_or_not_used(
    tmp_path: Path, memory: ReplaySpec
) -> None:
    """Extend, sample and save at once, and let another take up copies made in the middle of it."""
    live = tmp_path / "live"
    replay = remembered(memory, live)
    replay.add(steps(40, 0))
    states, copied, ended = [replay.state()], list[int](), threading.Event()
    failures: list[BaseException] = []

    def take_up_copies() -> None:
        try:
            for number in range(15):
                copy = tmp_path / str(number)
                shutil.copytree(live, copy)
                again = remembered(memory, copy)
                again.restore(states[-1])
                for batch in again.batches(ANY):
                    assert_whole(batch)
                    copied.append(len(batch))
        # Told to the test, which fails of it.
        except BaseException as error:
            failures.append(error)
        finally:
            ended.set()

    other = threading.Thread(target=take_up_copies)
    other.start()
    start = 40
    while not ended.is_set():
        replay.add(steps(7, start))
        start += 7
        for batch in replay.batches(ANY):
            assert_whole(batch)
        replay.flush()
        states.append(replay.state())
    other.join()
    assert not failures, failures[0]
    assert len(states) > 5 and copied
