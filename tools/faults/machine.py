"""Machines that are hurt on purpose: a small disk, a read-only folder, a process namespace."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


class FaultNotPossibleError(Exception):
    """This machine does not allow a fault to be injected; the message says why."""


@contextmanager
def small_disk(megabytes: int) -> Iterator[Path]:
    """Mount an empty disk in memory; yield its folder.

    Raises:
        FaultNotPossibleError: only root may mount.
    """
    with tempfile.TemporaryDirectory(prefix="pamiq-disk-") as folder:
        _mount("-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", folder)
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", "-l", folder], check=True)


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Make a folder read-only, for root as well.

    Raises:
        FaultNotPossibleError: only root may mount.
    """
    _mount("--bind", str(folder), str(folder))
    try:
        _mount("-o", "remount,bind,ro", str(folder))
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def in_pid_namespace(command: Sequence[str]) -> list[str]:
    """Return a command that runs another one as a container does: process numbers begin at 1.

    Raises:
        FaultNotPossibleError: only root may make a namespace.
    """
    return _unshare(["--pid", "--fork", "--mount-proc", "--kill-child"], command)


def with_shm(command: Sequence[str], options: str) -> list[str]:
    """Return a command that runs another one with a /dev/shm of its own, mounted with options.

    Raises:
        FaultNotPossibleError: only root may mount.
    """
    script = f'mount -t tmpfs -o {options} tmpfs /dev/shm && exec "$@"'
    return _unshare(["--mount", "sh", "-c", script, "sh"], command)


@contextmanager
def cpu_quota(cpus: float) -> Iterator[list[str]]:
    """Make a control group with a CPU quota; yield the prefix of commands that run in it.

    Raises:
        FaultNotPossibleError: only root may make one.
    """
    groups, period = Path("/sys/fs/cgroup"), 100_000
    unified = (groups / "cgroup.controllers").exists()
    group = (groups if unified else groups / "cpu") / f"pamiq-faults-{os.getpid()}"
    quota = str(int(cpus * period))
    try:
        group.mkdir()
        limit = ("cpu.max", f"{quota} {period}") if unified else ("cpu.cfs_quota_us", quota)
        (group / limit[0]).write_text(limit[1])
    except OSError as error:
        if group.is_dir():
            group.rmdir()
        raise FaultNotPossibleError(f"no CPU quota can be set (needs root): {error}") from error
    try:
        yield ["sh", "-c", f'echo $$ > {group}/cgroup.procs && exec "$@"', "sh"]
    finally:
        group.rmdir()


def _unshare(how: Sequence[str], command: Sequence[str]) -> list[str]:
    prefix = ["unshare", *how]
    if shutil.which("unshare") is None or subprocess.run([*prefix, "true"], check=False).returncode:
        raise FaultNotPossibleError(f"{' '.join(prefix)} does not work (needs root and unshare)")
    return [*prefix, *command]


def _mount(*arguments: str) -> None:
    if shutil.which("mount") is None:
        raise FaultNotPossibleError("there is no mount command")
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise FaultNotPossibleError(f"cannot mount (needs root): {done.stderr.strip()}")
