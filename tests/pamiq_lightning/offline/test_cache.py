from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from pamiq_lightning.offline import cache
from pamiq_lightning.offline.cache import CACHE, cached_rows
from pamiq_lightning.utils.file_lock import FileLock

ROWS = torch.arange(12, dtype=torch.float32).reshape(6, 2)


def compute() -> Iterator[Tensor]:
    yield from ROWS.split(4)


def test_two_who_want_the_same_rows_compute_them_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    begun, finish, count = threading.Event(), threading.Event(), list[int]()

    def compute_slowly() -> Iterator[Tensor]:
        count.append(1)
        begun.set()
        finish.wait()
        yield from compute()

    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(cached_rows, tmp_path, "latent", "a", 6, compute_slowly)
        assert begun.wait(60)
        second = threads.submit(cached_rows, tmp_path, "latent", "a", 6, compute_slowly)
        while "waiting for another process" not in capsys.readouterr().out:
            pass
        finish.set()
        for found in (first, second):
            assert np.array_equal(found.result(), ROWS)
    assert len(count) == 1
    assert [path.name for path in (tmp_path / CACHE).iterdir()] == ["latent_a.npy"]


def test_a_full_disk_raises_before_a_row_is_written_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, offset: int, length: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(cache, "allocate_blocks", full)
    with pytest.raises(OSError, match="No space left on device"):
        cached_rows(tmp_path, "latent", "a", 6, compute)
    assert not list((tmp_path / CACHE).iterdir())


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="the system cannot allocate")
def test_rows_have_disk_space_before_they_are_written(tmp_path: Path) -> None:
    def look() -> Iterator[Tensor]:
        yield ROWS[:1].expand(1, 2)
        (part,) = (tmp_path / CACHE).glob("*.part")
        assert part.stat().st_blocks * 512 >= 8 * (1 << 20)

    cached_rows(tmp_path, "latent", "a", 1 << 20, look)


def test_a_recording_that_cannot_be_written_to_is_cached_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    recording = tmp_path / "recording"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    take = FileLock.take

    def refuse(lock: FileLock) -> None:
        if recording in lock.path.parents:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        take(lock)

    monkeypatch.setattr(FileLock, "take", refuse)
    assert np.array_equal(cached_rows(recording, "latent", "a", 6, compute), ROWS)
    line = capsys.readouterr().out
    assert f"{recording / CACHE} cannot be written to" in line and str(tmp_path / "home") in line
    assert len(list((tmp_path / "home").rglob("*.npy"))) == 1
    # Found there without another look at the recording's folder.
    assert np.array_equal(cached_rows(recording, "latent", "a", 6, compute), ROWS)
    assert "recomputing" not in capsys.readouterr().out


def test_a_disk_without_room_for_the_lock_keeps_no_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(lock: FileLock) -> None:
        lock.path.touch()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(FileLock, "take", refuse)
    with pytest.raises(OSError, match="No space left on device"):
        cached_rows(tmp_path, "latent", "a", 6, compute)
    assert not list((tmp_path / CACHE).iterdir())
