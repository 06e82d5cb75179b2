"""The process that writes to Aim; `AimLog` starts it, and a new one where it failed.

Aim's finalizers can wait for ever after a failed write. They never run here: this process keeps
what has failed, and ends without them.
"""

from __future__ import annotations

import faulthandler
import gc
import os
import pickle
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from PIL.Image import Image

from pamiq_lightning.run_files import AIM_LOCK, AIM_RUN
from pamiq_lightning.utils.atomic_io import replace_atomic
from pamiq_lightning.utils.console import open_missing_streams
from pamiq_lightning.utils.file_lock import FileLock, HeldError
from pamiq_lightning.utils.processes import ignore_stop_signals

OPEN_LIMIT_S = 180.0
WRITE_LIMIT_S = 60.0
"""How long Aim may take for one record; after that this process ends."""
LOCK_LIMIT_S = 60.0
"""How long another process may take to open the repository, or to finish the same run."""
LONGEST_ERROR = 160
REPO_LOCK = ".aim.lock"
"""Beside the repository, which may have to be moved: one process at a time opens it."""
_STALE_LOCK_S = 30.0
"""Age of a lock of Aim's whose holder was killed; Aim holds it for an instant."""
_ROOM_BYTES = 64 << 20
"""With less room on the disk, a repository that cannot be made is not taken for a broken one."""

_kept: list[object] = []
"""Keeps a run, and what has failed, from the garbage collector, which calls Aim's finalizers."""


@dataclass(frozen=True)
class AimTarget:
    """Where to write.

    Args:
        repo: folder that Aim's repository is in.
        experiment: name of the experiment in Aim.
        run_folder: has the hash of the Aim run, which is continued; None for a new Aim run.
    """

    repo: Path
    experiment: str
    run_folder: Path | None = None


@dataclass(frozen=True)
class Track:
    """A value for `aim.Run.track`: a number, an image, or numbers by name."""

    value: Any
    name: str | None = None
    step: int | None = None
    epoch: int | None = None
    context: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Parameters:
    """Parameters for `aim.Run.set`."""

    name: str
    values: Any


@dataclass(frozen=True)
class Reply:
    """The answer to a target, to a record, or to None, which asks to close the run.

    Args:
        error: why it failed; empty if it did not. The process ends after a failure.
        permanent: whether a new process would fail the same way.
        notes: messages for the person.
    """

    error: str = ""
    permanent: bool = False
    notes: tuple[str, ...] = ()


class RepoError(Exception):
    """The repository cannot be used as it is; the message says why."""


def main() -> None:
    """Run the process: a target and then records come in, each is answered."""
    open_missing_streams()
    ignore_stop_signals()
    replies = os.fdopen(os.dup(1), "wb")
    # What libraries print must not get among the replies.
    os.dup2(2, 1)
    serve(sys.stdin.buffer, replies)
    with suppress(OSError):
        replies.flush()
    os._exit(0)


def serve(requests: IO[bytes], replies: IO[bytes]) -> None:
    """Answer every request until the run is closed, a write fails, or the parent has ended."""

    def reply(answer: Reply) -> None:
        # A parent that is gone takes no answers; the next request is then the end.
        with suppress(BrokenPipeError):
            pickle.dump(answer, replies)
            replies.flush()

    try:
        target, notes = pickle.load(requests), list[str]()
        with _limit(OPEN_LIMIT_S):
            # Held until this process ends.
            held = _lock_run(target)  # noqa: F841
            run = _open(target, notes)
            _kept.append(run)
        reply(Reply(notes=tuple(notes)))
        while (record := _receive(requests)) is not None:
            with _limit(WRITE_LIMIT_S):
                _write(run, record)
            reply(Reply())
        with _limit(WRITE_LIMIT_S):
            run.close()
            # Aim flushes its files when nothing refers to them any more.
            _kept.clear()
            del run
            gc.collect()
        reply(Reply())
    # Whatever fails in the optional store is reported, and the caller of `AimLog` goes on.
    except Exception as error:
        _kept.append(error)
        reply(Reply(_describe(error), permanent=isinstance(error, ImportError)))


def _describe(error: Exception) -> str:
    """Return an error in one short line; RocksDB's are bytes, and long."""
    first = error.args[0] if error.args else ""
    text = first.decode(errors="replace") if isinstance(first, bytes) else str(error)
    line = f"{type(error).__name__}: {' '.join(text.split())}"
    return line if len(line) <= LONGEST_ERROR else f"{line[:LONGEST_ERROR]}..."


def _receive(requests: IO[bytes]) -> Track | Parameters | None:
    try:
        record: Track | Parameters | None = pickle.load(requests)
    except EOFError:
        return None
    return record


def _write(run: Any, record: Track | Parameters) -> None:
    import aim

    if isinstance(record, Parameters):
        run.set(record.name, record.values, strict=False)
        return
    value = aim.Image(record.value) if isinstance(record.value, Image) else record.value
    run.track(value, name=record.name, step=record.step, epoch=record.epoch, context=record.context)


@contextmanager
def _limit(seconds: float) -> Iterator[None]:
    """End this process if the body takes too long, even inside a call that never returns."""
    faulthandler.dump_traceback_later(seconds, exit=True, file=2)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


def _lock(path: Path, what: str) -> FileLock:
    """Take a lock as soon as it is free.

    Raises:
        RepoError: another process keeps it.
    """
    lock = FileLock(path)
    try:
        lock.wait(LOCK_LIMIT_S)
    except HeldError as holder:
        raise RepoError(f"{holder} {what} ({path})") from holder
    return lock


def _lock_run(target: AimTarget) -> FileLock | None:
    if target.run_folder is None:
        return None
    return _lock(target.run_folder / AIM_LOCK, "still writes to the same Aim run")


def _open(target: AimTarget, notes: list[str]) -> Any:
    """Open the run in Aim: the one that the run folder names, or a new one."""
    # Before the lock: the import takes seconds.
    from aimrocks.errors import Corruption

    if target.run_folder is None:
        target.repo.mkdir(parents=True, exist_ok=True)
    lock = _lock(target.repo / REPO_LOCK, "still opens Aim's repository")
    repo = _open_repo(target.repo)
    known = _known_hash(target)
    if known and not repo.run_exists(known):
        notes.append(f"Aim has no run {known} in {target.repo}: a new Aim run is begun")
        known = None
    try:
        run = _open_run(target, repo, known)
    except Corruption as error:
        notes.append(f"the Aim run {known} is damaged ({error}): a new Aim run is begun")
        run = _open_run(target, repo, None)
    if target.run_folder is not None:
        replace_atomic(target.run_folder / AIM_RUN, run.hash.encode())
    lock.release()
    return run


def _known_hash(target: AimTarget) -> str | None:
    """Return the hash in the run folder, if there is one."""
    file = target.run_folder / AIM_RUN if target.run_folder else None
    return (file.read_text().strip() or None) if file and file.is_file() else None


def _open_run(target: AimTarget, repo: Any, known: str | None) -> Any:
    import aim

    return aim.Run(
        known,
        repo=repo,
        experiment=target.experiment,
        # The lock in the run folder proves that no other process writes to this Aim run; a lock
        # of Aim's is left by one that was killed.
        force_resume=known is not None,
        # By default Aim would store every environment variable.
        log_system_params=False,
        capture_terminal_logs=False,
        system_tracking_interval=None,
    )


def _open_repo(folder: Path) -> Any:
    """Open the repository; make it if it is missing, complete it if it is half made.

    Raises:
        RepoError: it could not be completed and was set aside; the next process makes a new one.
    """
    from aim import Repo

    repo = folder / ".aim"
    version, begun = repo / "VERSION", repo.exists()
    _remove_stale_lock(repo / "locks" / "structured_db_lock")
    if version.is_file() and version.read_text().strip():
        if Repo.check_repo_status(str(folder)).name == "UPDATE_REQUIRED":
            raise RepoError(f"{repo} has the format of an older Aim; upgrade it or move it away")
        return Repo.from_path(str(folder))
    # An empty one is no number to Aim.
    version.unlink(missing_ok=True)
    try:
        return Repo.from_path(str(folder), init=True)
    except Exception as error:
        if not begun or shutil.disk_usage(folder).free < _ROOM_BYTES:
            raise
        aside = folder / f".aim.broken-{time.strftime('%Y%m%d-%H%M%S')}"
        repo.rename(aside)
        raise RepoError(f"{repo.name} was half made and is now {aside} ({error})") from error


def _remove_stale_lock(path: Path) -> None:
    """Remove a lock of Aim's whose holder was killed: Aim would wait for it for minutes."""
    with suppress(FileNotFoundError):
        if time.time() - path.stat().st_mtime > _STALE_LOCK_S:
            path.unlink()


if __name__ == "__main__":
    # By its own name: pickles name the classes of that module, not of `__main__`.
    from pamiq_lightning.trainer import aim_process

    aim_process.main()
