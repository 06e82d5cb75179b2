from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from pamiq_lightning.exchange import shared_memory
from pamiq_lightning.exchange.shared_memory import ALIGNMENT, SharedFile, layout

FIELDS = layout([("a", (3,), np.int64), ("b", (2, 5), np.uint8), ("c", (1,), np.float64)])


def test_two_views_share_their_numbers(tmp_path: Path) -> None:
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


def test_an_existing_file_is_never_overwritten(tmp_path: Path) -> None:
    SharedFile(tmp_path / "f", FIELDS, create=True)
    with pytest.raises(FileExistsError):
        SharedFile(tmp_path / "f", FIELDS, create=True)


def test_what_a_killed_owner_left_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_memory, "FOLDERS", (tmp_path,))
    gone = subprocess.Popen(["true"])
    gone.wait()
    for name in (f"pamiq-exchange-{gone.pid}-a", f"pamiq-exchange-{os.getpid()}-b", "other"):
        (tmp_path / name).mkdir()
    made = shared_memory.exchange_folder(10)
    assert {p.name for p in tmp_path.iterdir()} == {
        f"pamiq-exchange-{os.getpid()}-b",
        "other",
        made.name,
    }


def test_no_room_is_said_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shared_memory.shutil, "disk_usage", lambda _: usage._replace(free=10))
    with pytest.raises(OSError, match="TMPDIR"):
        shared_memory.exchange_folder(1000)
