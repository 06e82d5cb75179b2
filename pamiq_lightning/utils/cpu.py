"""The CPU cores and the CPU time a process may use: its affinity, and a container's quota."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


def can_pin() -> bool:
    """Return whether this system lets a process choose its cores."""
    return sys.platform == "linux"


def allowed_cores() -> list[int]:
    """Return the numbers of the cores that this process may run on."""
    if sys.platform == "linux":
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def usable_cores() -> int:
    """Return how many cores this process can keep busy."""
    cores, quota = len(allowed_cores()), cpu_quota()
    return cores if quota is None else min(cores, max(1, int(quota)))


def describe_quota() -> str | None:
    """Return in one line that a quota leaves less than the allowed cores; None if none does."""
    quota, cores = cpu_quota(), len(allowed_cores())
    if quota is None or quota >= cores:
        return None
    line = f"A CPU quota (of a container or a service) allows {quota:.3g} of {cores} cores"
    if quota >= 2:
        return f"{line}: the trainer computes on {usable_cores() - 1}."
    return (
        f"{line}. Agent and trainer need 2: ticks are missed while the trainer computes. Raise it "
        "(docker run --cpus=2)."
    )


def stay_on(core: int) -> None:
    """Bind the calling process to one core.

    Raises:
        OSError: the process may not use this core.
    """
    _use_cores({core})


def keep_off(core: int) -> None:
    """Let the calling process use every core it may use but one."""
    others = set(allowed_cores()) - {core}
    if others:
        _use_cores(others)


def _use_cores(cores: set[int]) -> None:
    if sys.platform != "linux":
        raise OSError(f"{sys.platform} does not let a process choose its cores")
    os.sched_setaffinity(0, cores)


def cpu_quota(process: Path = Path("/proc/self")) -> float | None:
    """Return how many CPUs' time the control groups of this process allow; None for no limit.

    Args:
        process: the folder of the process in /proc.
    """
    if sys.platform != "linux":
        return None
    return min(_quotas(process), default=None)


def _quotas(process: Path) -> Iterator[float]:
    """Yield the quota of this process's control group, and of each above it."""
    try:
        groups = [line.split(":", 2) for line in _lines(process / "cgroup")]
        mounts = [line.split(" ") for line in _lines(process / "mountinfo")]
    except OSError:
        return
    # Fields: proc_pid_cgroup(5) has id:controllers:path, proc_pid_mountinfo(5) the root of a mount,
    # its folder, and after a dash the type, the source, the options.
    for mount in mounts:
        kind, _, options = mount[mount.index("-") + 1 :]
        for number, controllers, path in groups:
            unified = kind == "cgroup2" and number == "0"
            cpu = "cpu" in options.split(",") and "cpu" in controllers.split(",")
            if unified or (kind == "cgroup" and cpu):
                yield from _quotas_up(Path(mount[4]), mount[3], path)


def _quotas_up(mounted: Path, root: str, path: str) -> Iterator[float]:
    """Yield the quotas from a group's folder up to that where the hierarchy is mounted."""
    # In a container the path can be that of the host, where the mount begins further down.
    below = path.removeprefix(root if root != "/" else "").strip("/")
    folder = mounted / below if path.startswith(root) and ".." not in below else mounted
    while True:
        # The root group has no limit files, and a limit can be removed meanwhile.
        with suppress(OSError, ValueError):
            yield _quota(folder)
        if folder == mounted:
            return
        folder = folder.parent


def _quota(folder: Path) -> float:
    """Return the quota of one group.

    Raises:
        OSError: it has none.
        ValueError: it is unlimited.
    """
    if (limit := folder / "cpu.max").exists():
        quota, period = limit.read_text().split()
    else:
        quota = (folder / "cpu.cfs_quota_us").read_text()
        period = (folder / "cpu.cfs_period_us").read_text()
    if int(quota) <= 0:
        raise ValueError("unlimited")
    return int(quota) / int(period)


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8", errors="replace").splitlines()
