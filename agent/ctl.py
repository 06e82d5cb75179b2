"""Tell a running agent what to do, from another terminal: `python -m agent.ctl stop`."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from pathlib import Path

PID_FILE = "agent.pid"
STOP_LIMIT_S = 60.0
LOOK_S = 0.1


class NoSuchRunError(Exception):
    """There is no running agent to talk to; the message says where was looked."""


def find_run(folder: Path) -> tuple[Path, int]:
    """Return the newest run at or below a folder that is alive, and its process number.

    Raises:
        NoSuchRunError: there is none.
    """
    files = [*folder.glob(PID_FILE), *folder.glob(f"*/*/{PID_FILE}")]
    for file in sorted(files, key=lambda f: f.stat().st_mtime, reverse=True):
        pid = int(file.read_text(encoding="ascii"))
        if is_agent(pid):
            return file.parent, pid
    raise NoSuchRunError(f"no agent runs in {folder} (--run names another folder)")


def is_agent(pid: int) -> bool:
    """Tell whether a process lives and is an agent's, where the system says what it is."""
    if not Path("/proc").is_dir():
        return True
    try:
        return b"agent.run" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def stop(folder: Path, pid: int) -> bool:
    """Ask for a clean stop and wait for it; return whether it came in time."""
    # Windows has no SIGTERM that a process could catch, but Ctrl-Break.
    os.kill(pid, getattr(signal, "CTRL_BREAK_EVENT", signal.SIGTERM))
    end = time.monotonic() + STOP_LIMIT_S
    while time.monotonic() < end:
        # Removed when the summary is written, which is the last thing a run does.
        if not (folder / PID_FILE).exists() or not is_agent(pid):
            return True
        time.sleep(LOOK_S)
    return False


def main() -> int:
    """Do as told; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m agent.ctl", description=__doc__)
    parser.add_argument("command", choices=["stop"], help="stop: end the run as Ctrl-C would")
    parser.add_argument("--run", type=Path, default=Path("runs"), help="a run, or the runs folder")
    options = parser.parse_args()
    try:
        folder, pid = find_run(options.run)
    except NoSuchRunError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if not stop(folder, pid):
        print(f"error: {folder} has not ended after {STOP_LIMIT_S:.0f} s", file=sys.stderr)
        return 1
    print(f"Stopped {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
