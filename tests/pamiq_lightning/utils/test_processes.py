"""Child processes of the project's context."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import os, signal
from pamiq_lightning.utils import processes

def die_with_a_semaphore():
    kept = processes.context().Semaphore(0)
    os.kill(os.getpid(), signal.SIGKILL)

if __name__ == "__main__":
    processes.PRELOAD.clear()
    child = processes.context().Process(target=die_with_a_semaphore)
    child.start()
    child.join()
    print(child.exitcode)
"""


def test_semaphores_of_a_killed_process_are_removed_without_a_line(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    command = [sys.executable, str(program)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("-9\n", "")
