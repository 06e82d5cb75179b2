from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from pamiq_lightning.utils import cpu
from pamiq_lightning.utils.cpu import cpu_quota, describe_quota, keep_off, usable_cores

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="affinity and control groups")


@pytest.fixture
def process(tmp_path: Path) -> Path:
    folder = tmp_path / "proc"
    folder.mkdir()
    return folder


def mount(process: Path, kind: str, root: str, options: str, path: str) -> Path:
    """Write where the groups are mounted and which is the process's; return the mount's folder."""
    mounted = process.parent / "groups"
    line = f"31 23 0:28 {root} {mounted} rw,relatime shared:5 - {kind} source {options}"
    (process / "mountinfo").write_text(f"22 1 0:21 / /proc rw - proc proc rw\n{line}\n")
    (process / "cgroup").write_text(f"{path}\n")
    mounted.mkdir()
    return mounted


def test_quota_of_version_2_is_the_smallest_up_to_the_mount(process: Path) -> None:
    mounted = mount(process, "cgroup2", "/", "rw", "0::/outer/inner")
    (mounted / "outer" / "inner").mkdir(parents=True)
    assert cpu_quota(process) is None
    (mounted / "outer" / "inner" / "cpu.max").write_text("max 100000\n")
    assert cpu_quota(process) is None
    (mounted / "outer" / "cpu.max").write_text("150000 100000\n")
    assert cpu_quota(process) == 1.5


@pytest.mark.parametrize(
    ("root", "path"),
    [("/", "/"), ("/docker/abc", "/docker/abc"), ("/docker/abc", "/elsewhere"), ("/", "/../x")],
)
def test_quota_of_version_1_is_found_from_within_a_container(
    process: Path, root: str, path: str
) -> None:
    mounted = mount(process, "cgroup", root, "rw,cpu,cpuacct", f"3:cpu,cpuacct:{path}")
    (mounted / "cpu.cfs_period_us").write_text("50000\n")
    (mounted / "cpu.cfs_quota_us").write_text("-1\n")
    assert cpu_quota(process) is None
    (mounted / "cpu.cfs_quota_us").write_text("100000\n")
    assert cpu_quota(process) == 2.0


def test_quota_is_none_where_groups_of_the_cpu_are_not_mounted(process: Path) -> None:
    assert cpu_quota(process) is None
    mounted = mount(process, "cgroup", "/", "rw,memory", "4:memory:/")
    (mounted / "cpu.cfs_quota_us").write_text("1000\n")
    assert cpu_quota(process) is None


@pytest.mark.parametrize(
    ("quota", "cores", "words"),
    [(None, 4, None), (9.0, 4, None), (2.5, 2, "computes on 1"), (0.5, 1, "0.5 of 4 cores")],
)
def test_quota_counts_and_is_reported(
    monkeypatch: pytest.MonkeyPatch, quota: float | None, cores: int, words: str | None
) -> None:
    monkeypatch.setattr(cpu, "cpu_quota", lambda: quota)
    monkeypatch.setattr(cpu, "allowed_cores", lambda: [4, 5, 6, 7])
    assert usable_cores() == cores
    line = describe_quota()
    assert (line is None) if words is None else (line is not None and words in line)


def test_trainer_stays_within_the_cores_that_it_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[set[int]] = []
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {4, 5, 6, 7})
    monkeypatch.setattr(os, "sched_setaffinity", lambda pid, cores: used.append(cores))
    keep_off(5)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {5})
    keep_off(5)
    assert used == [{4, 6, 7}]
