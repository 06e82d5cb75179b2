from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from agent.errors import RunFailure
from agent.run_lock import LOCK_FILE, RunLock

HOLDER = """
import sys
from pathlib import Path
from agent.run_lock import RunLock
lock = RunLock(Path(sys.argv[1]))
lock.take()
print("taken", flush=True)
sys.stdin.read()
"""


def test_a_second_agent_is_refused_by_name_and_a_dead_one_is_not_minded(tmp_path: Path) -> None:
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
