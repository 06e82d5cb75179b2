"""Tell a running agent what to do, from another terminal: `python -m agent.ctl pause`."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from agent.run_dir import PID_FILE, read_address

COMMANDS = {
    "status": "print all figures as JSON",
    "pause": "every input neutral, no more ticks",
    "resume": "end your pause",
    "save": "write a checkpoint of everything to disk",
    "stop": "end the run as Ctrl-C would",
}
ANSWER_LIMIT_S = 90.0
"""Longer than the agent takes for anything before it says that it has failed."""
STOP_LIMIT_S = 60.0
LOOK_S = 0.1


class NoSuchRunError(Exception):
    """There is no running agent to talk to; the message says where was looked."""


class NoAnswerError(Exception):
    """The agent's process lives but does not answer; the message says how it failed."""


class RefusedError(Exception):
    """The agent answered that it did not do it; the message is its own."""


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


def ask(folder: Path, command: str) -> dict[str, Any]:
    """Put a command to the API of a run; return its answer.

    Raises:
        NoAnswerError: nobody answers, or not in time.
        RefusedError: the agent says that it is not done.
    """
    method = "GET" if command == "status" else "POST"
    try:
        address = read_address(folder)
        # No proxy between: this is for this machine alone.
        connection = HTTPConnection(address.host, address.port, timeout=ANSWER_LIMIT_S)
        headers = {"Authorization": f"Bearer {address.token}", "X-From": "ctl"}
        with closing(connection):
            connection.request(method, f"/{command}", headers=headers)
            response = connection.getresponse()
            answer: dict[str, Any] = json.loads(response.read())
    except FileNotFoundError as error:
        raise NoAnswerError("it has no API (yet)") from error
    except (OSError, ValueError, HTTPException) as error:
        raise NoAnswerError(f"{type(error).__name__}: {error}") from error
    if response.status != 200:
        raise RefusedError(answer["error"])
    return answer


def stop(folder: Path, pid: int) -> bool:
    """Ask for a clean stop and wait for it; return whether it came in time."""
    try:
        ask(folder, "stop")
    except NoAnswerError as error:
        print(f"The agent's API does not answer ({error}): sending a signal.", file=sys.stderr)
        # Windows has no SIGTERM that a process could catch, but Ctrl-Break.
        os.kill(pid, getattr(signal, "CTRL_BREAK_EVENT", signal.SIGTERM))
    end = time.monotonic() + STOP_LIMIT_S
    while time.monotonic() < end:
        # Removed when the summary is written, which is the last thing a run does.
        if not (folder / PID_FILE).exists() or not is_agent(pid):
            return True
        time.sleep(LOOK_S)
    return False


def _do(command: str, run: Path) -> str:
    """Do it; return what is to be printed.

    Raises:
        NoSuchRunError, NoAnswerError, RefusedError: it is not done.
    """
    folder, pid = find_run(run)
    if command == "stop":
        if not stop(folder, pid):
            raise RefusedError(f"{folder} has not ended after {STOP_LIMIT_S:.0f} s")
        return f"Stopped {folder}"
    try:
        answer = ask(folder, command)
    except NoAnswerError as error:
        raise NoAnswerError(f"the agent in {folder} does not answer: {error}") from error
    return json.dumps(answer, indent=2) if command == "status" else f"{folder}: {answer['done']}"


def main() -> int:
    """Do as told; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m agent.ctl",
        description=__doc__,
        epilog="; ".join(f"{name}: {what}" for name, what in COMMANDS.items()),
    )
    parser.add_argument("command", choices=list(COMMANDS))
    parser.add_argument("--run", type=Path, default=Path("runs"), help="a run, or the runs folder")
    options = parser.parse_args()
    try:
        print(_do(options.command, options.run))
    except (NoSuchRunError, NoAnswerError, RefusedError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
