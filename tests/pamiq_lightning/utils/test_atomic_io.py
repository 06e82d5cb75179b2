from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from pamiq_lightning.utils import atomic_io
from pamiq_lightning.utils.atomic_io import WholeFile, replace_atomic, staged, sync_folder


class AlmostFull:
    """A file whose `write` writes at most three bytes, and none once there is no room."""

    def __init__(self, file: Any, room: int) -> None:
        self._file, self._room = file, room

    def write(self, content: memoryview) -> int:
        if not self._room:
            raise OSError(errno.ENOSPC, "No space left on device")
        count = min(3, len(content), self._room)
        self._room -= count
        return int(self._file.write(content[:count]))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def almost_full(monkeypatch: pytest.MonkeyPatch, room: int) -> None:
    opened = Path.open
    monkeypatch.setattr(
        Path, "open", lambda path, *mode, **more: AlmostFull(opened(path, *mode, **more), room)
    )


def test_whole_file_writes_everything_or_raises(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        almost_full(patch, 20)
        file = WholeFile(tmp_path / "file")
    assert file.write(b"0123456789") == 10
    assert file.write(memoryview(bytearray(b"abcd"))) == 4
    with pytest.raises(OSError, match="No space left"):
        file.write(b"0123456789")
    file.close()
    assert (tmp_path / "file").read_bytes() == b"0123456789abcd012345"


def test_replace_atomic_leaves_the_old_file_when_the_disk_refuses(tmp_path: Path) -> None:
    path = tmp_path / "summary.json"
    replace_atomic(path, b"one")
    os.truncate(path, 2)

    def refuse(path: Path, content: bytes) -> None:
        path.write_bytes(content[:1])
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(atomic_io, "write_synced", refuse)
        with pytest.raises(OSError, match="No space left"):
            replace_atomic(path, b"two")
    assert [found.name for found in tmp_path.iterdir()] == ["summary.json"]
    assert path.read_bytes() == b"on"


def test_staged_replaces_at_the_end_alone(tmp_path: Path) -> None:
    path = tmp_path / "rows.bin"
    with staged(path) as part:
        part.write_bytes(b"new")
        assert not path.exists()
    assert path.read_bytes() == b"new"
    with pytest.raises(KeyError), staged(path) as part:
        part.write_bytes(b"half")
        raise KeyError
    assert [found.name for found in tmp_path.iterdir()] == ["rows.bin"]
    assert path.read_bytes() == b"new"


def test_several_may_stage_one_path_and_the_last_to_end_replaces_it(tmp_path: Path) -> None:
    path = tmp_path / "rows.bin"
    with staged(path) as first:
        first.write_bytes(b"first")
        with staged(path) as second:
            second.write_bytes(b"second")
        assert path.read_bytes() == b"second"
    assert path.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_process_has_staged_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "api.json"
    (tmp_path / "api.json.0123abcd.part").touch()
    (tmp_path / "other.0123abcd.part").touch()
    replace_atomic(path, b"new")
    assert sorted(found.name for found in tmp_path.iterdir()) == ["api.json", "other.0123abcd.part"]


@pytest.mark.skipif(os.name != "posix", reason="only POSIX has file modes")
def test_a_staged_file_has_the_mode_it_was_made_with(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        for mode in (0o666, 0o600):
            with staged(tmp_path / "file", mode):
                pass
            assert (tmp_path / "file").stat().st_mode & 0o777 == mode & ~0o022
    finally:
        os.umask(before)


@pytest.mark.skipif(os.name != "posix", reason="only POSIX syncs folders")
def test_sync_folder_ignores_file_systems_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(code: int) -> None:
        def fsync(descriptor: int) -> None:
            raise OSError(code, os.strerror(code))

        monkeypatch.setattr(os, "fsync", fsync)

    fail(errno.EINVAL)
    sync_folder(tmp_path)
    fail(errno.EIO)
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        sync_folder(tmp_path)
