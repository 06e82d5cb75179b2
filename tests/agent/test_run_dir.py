from __future__ import annotations

import ast
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent import run_dir
from agent.errors import RunFailure
from agent.run_dir import LOCK_FILE, Address, RunLock, read_address, remove_address, write_address
from pamiq_lightning import run_files

ROOT = Path(__file__).resolve().parents[2]
NAMES = {
    value
    for name in (set(vars(run_dir)) | set(vars(run_files)))
    if name.isupper() and isinstance(value := getattr(run_dir, name), str)
}


def literal_paths(source: str) -> Iterator[str]:
    """Yield the last part of each literal that is a file's name or the right side of a `/`."""
    for node in ast.walk(ast.parse(source)):
        found = node.right if isinstance(node, ast.BinOp) else node
        if isinstance(found, ast.Constant) and isinstance(found.value, str):
            name = found.value.rpartition("/")[2]
            if isinstance(node, ast.BinOp) or "." in name:
                yield name


def test_run_dir_lists_every_file_of_a_run() -> None:
    assert {name for name in vars(run_files) if name.isupper()} <= set(vars(run_dir))


@pytest.mark.parametrize("package", ["agent", "pamiq_lightning", "tools"])
def test_no_other_module_names_a_file_of_a_run(package: str) -> None:
    named = {
        (str(path.relative_to(ROOT)), name)
        for path in (ROOT / package).rglob("*.py")
        if path not in {Path(run_dir.__file__), Path(run_files.__file__)}
        for name in NAMES & set(literal_paths(path.read_text(encoding="utf-8")))
    }
    assert not named


HERE = Address("127.0.0.1", 4321, "secret")


def test_address_is_read_back_and_removed(tmp_path: Path) -> None:
    write_address(tmp_path, HERE)
    assert read_address(tmp_path) == HERE
    assert HERE.page == "http://127.0.0.1:4321/#secret"
    assert [path.name for path in tmp_path.iterdir()] == [run_dir.ADDRESS]
    assert HERE.page in (tmp_path / run_dir.ADDRESS).read_text()
    remove_address(tmp_path)
    remove_address(tmp_path)
    with pytest.raises(FileNotFoundError):
        read_address(tmp_path)


@pytest.mark.skipif(os.name != "posix", reason="file modes")
def test_address_file_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        write_address(tmp_path, HERE)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / run_dir.ADDRESS).stat().st_mode) == 0o600


@pytest.mark.parametrize("text", ["", "[]", "7", '{"port": 1}', '{"hots": "", "port": 1}'])
def test_address_file_with_other_content_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / run_dir.ADDRESS).write_text(text)
    with pytest.raises(ValueError):
        read_address(tmp_path)


HOLDER = """
import sys
from pathlib import Path
from agent.run_dir import RunLock
lock = RunLock(Path(sys.argv[1]))
lock.take()
print("taken", flush=True)
sys.stdin.read()
"""


def test_lock_refuses_a_second_agent_and_takes_over_from_a_dead_one(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == b"taken\n"
        with pytest.raises(RunFailure, match=f"process {holder.pid}"):
            RunLock(tmp_path).take()
        holder.kill()
    lock = RunLock(tmp_path)
    lock.take()
    assert (tmp_path / LOCK_FILE).read_text() == str(os.getpid())
    lock.release()
    lock.release()
    lock.take()
    lock.release()


def test_an_error_is_one_line_with_its_place_and_a_traceback_in_a_file(tmp_path: Path) -> None:
    try:
        sys.exit(3)
    except SystemExit as error:
        failure = str(run_dir.write_error(tmp_path, error))
    assert "sys.exit(3)" in failure and run_dir.ERROR_LOG in failure and "\n" not in failure
    assert "SystemExit: 3" in (tmp_path / run_dir.ERROR_LOG).read_text()
