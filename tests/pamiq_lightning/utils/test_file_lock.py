from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pamiq_lightning.utils import file_lock
from pamiq_lightning.utils.file_lock import CannotLockError, FileLock, HeldError, holder, is_held

HOLDER = """
import sys
from pathlib import Path
from pamiq_lightning.utils.file_lock import FileLock
lock = FileLock(Path(sys.argv[1]))
lock.take()
print("taken", flush=True)
sys.stdin.read()
"""


@contextmanager
def held_elsewhere(path: Path) -> Iterator[int]:
    """Have another process hold the lock; yield its number."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == b"taken\n"
        yield process.pid
        process.kill()


def test_holder_is_the_process_that_has_the_lock_not_the_one_whose_number_is_written(
    tmp_path: Path,
) -> None:
    path = tmp_path / "lock"
    assert not is_held(path) and holder(path) is None
    with held_elsewhere(path) as pid:
        assert is_held(path) and holder(path) == pid
        if sys.platform == "linux":
            path.write_text(str(os.getpid()))
            assert holder(path) == pid
    # The number of a running process is in the file, but nobody holds the lock.
    path.write_text(str(os.getpid()))
    assert not is_held(path) and holder(path) is None


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the written number is the proof")
def test_holder_in_another_container_is_named_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = FileLock(tmp_path / "lock")
    lock.take()
    monkeypatch.setattr(file_lock, "_holds", lambda process, status: False)
    assert holder(lock.path) is None
    with pytest.raises(HeldError, match=f"process {os.getpid()} of another container"):
        FileLock(lock.path).take()
    lock.release()


def test_asking_who_holds_a_lock_never_refuses_it_to_another(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.touch()
    fleeting = path.open()
    file_lock._lock(fleeting, shared=True)
    tries: list[float] = []

    def end_question(seconds: float) -> None:
        tries.append(seconds)
        fleeting.close()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(file_lock.time, "sleep", end_question)
        lock = FileLock(path)
        lock.take()
    assert len(tries) == 1
    lock.release()


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_file_system_without_locks_is_not_taken_for_a_held_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(file: object, shared: bool) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(file_lock, "_lock", refuse)
    with pytest.raises(CannotLockError, match="has no locks, so a second process") as error:
        FileLock(tmp_path / "lock").take()
    assert error.value.errno == number and os.strerror(number) in str(error.value)
    with pytest.raises(CannotLockError):
        is_held(tmp_path / "lock")


def test_lock_knows_whether_its_file_is_still_in_place(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    lock = FileLock(folder / "lock")
    assert not lock.in_place
    lock.take()
    assert lock.in_place
    folder.rename(tmp_path / "renamed")
    assert not lock.in_place
    folder.mkdir()
    (folder / "lock").touch()
    assert not lock.in_place
    lock.release()
