from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from pamiq_lightning.exchange import shared_memory
from pamiq_lightning.exchange.shared_memory import (
    ALIGNMENT,
    OWNER_LOCK,
    PREFIX,
    SharedFile,
    SharedFolder,
    SlotRing,
    layout,
)
from pamiq_lightning.utils.file_lock import FileLock

FIELDS = layout([("a", (3,), np.int64), ("b", (2, 5), np.uint8), ("c", (1,), np.float64)])


def test_two_mappings_share_their_arrays(tmp_path: Path) -> None:
    mine = SharedFile(tmp_path / "f", FIELDS, create=True)
    theirs = SharedFile(tmp_path / "f", FIELDS)
    mine["a"][:] = [1, 2, 3]
    mine["b"][1, 4] = 9
    mine["c"][0] = 0.5
    assert theirs["a"].tolist() == [1, 2, 3]
    assert theirs["b"].sum() == 9
    assert theirs["c"][0] == 0.5


def test_arrays_never_share_a_cache_line(tmp_path: Path) -> None:
    file = SharedFile(tmp_path / "f", FIELDS, create=True)
    starts = [array.__array_interface__["data"][0] for array in file.arrays.values()]
    assert all((s - starts[0]) % ALIGNMENT == 0 for s in starts)
    assert len(set(starts)) == 3


def test_slot_ring_reads_complete_items_alone(tmp_path: Path) -> None:
    fields = layout([*SlotRing.fields(2), ("value", (2,), np.int64)])
    file = SharedFile(tmp_path / "f", fields, create=True)
    ring = SlotRing(file)

    def write(number: int) -> None:
        file["value"][ring.open(number)] = 10 * number
        ring.commit(number)

    def read(slot: int) -> int:
        return int(file["value"][slot])

    assert ring.filled == 0 and ring.read(0, read) is None
    for number in range(3):
        write(number)
    assert ring.filled == 3
    assert [ring.read(number, read) for number in range(4)] == [None, 10, 20, None]
    ring.open(3)
    assert [ring.read(number, read) for number in range(4)] == [None, None, 20, None]

    def overwritten(slot: int) -> int:
        write(4)
        return read(slot)

    assert ring.read(2, overwritten) is None


def test_creating_an_existing_file_is_refused(tmp_path: Path) -> None:
    SharedFile(tmp_path / "f", FIELDS, create=True)
    with pytest.raises(FileExistsError):
        SharedFile(tmp_path / "f", FIELDS, create=True)


def test_shared_folder_removes_only_folders_whose_lock_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_memory, "FOLDERS", (tmp_path,))
    living = SharedFolder.create(10)
    # In another pid namespace the number of a living owner is of no process here.
    (living.path / OWNER_LOCK).write_text("4194304")
    dead = tmp_path / f"{PREFIX}dead"
    unknown = tmp_path / f"{PREFIX}unknown"
    for folder in (dead, unknown):
        folder.mkdir()
    # The number of a running process does not prove that it is the owner.
    (dead / OWNER_LOCK).write_text(str(os.getpid()))
    made = SharedFolder.create(10)
    assert {*tmp_path.iterdir()} == {living.path, unknown, made.path}
    living.remove()
    made.remove()
    assert [*tmp_path.iterdir()] == [unknown]


def test_new_shared_folder_survives_a_start_at_the_same_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_memory, "FOLDERS", (tmp_path,))
    take, raced = FileLock.take, list[Path]()

    def take_late(lock: FileLock) -> None:
        if not raced:
            raced.append(lock.path)
            lock.path.touch()
            # Another process looks for orphans before this lock is held.
            shared_memory._remove_orphans(tmp_path)
        take(lock)

    monkeypatch.setattr(FileLock, "take", take_late)
    made = SharedFolder.create(10)
    assert made.path != raced[0].parent and [*tmp_path.iterdir()] == [made.path]
    made.remove()


def test_shared_folder_goes_when_its_files_cannot_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_memory, "FOLDERS", (tmp_path,))
    with pytest.raises(OSError, match="full"), SharedFolder.create(10):
        raise OSError("full")
    assert not [*tmp_path.iterdir()]


def test_shared_folder_without_room_names_tmpdir(monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shared_memory.shutil, "disk_usage", lambda _: usage._replace(free=10))
    with pytest.raises(OSError, match="TMPDIR"):
        SharedFolder.create(1000)
