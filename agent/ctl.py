"""Control a running agent from another terminal: `python -m agent.ctl pause`."""

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

from agent.run_dir import LOCK_FILE, agent_alive, agent_process, read_address
from pamiq_lightning.utils.console import (
    open_missing_streams,
    print_error,
    print_failure,
    safe_print,
)
from pamiq_lightning.utils.json_text import json_text

COMMANDS = {
    "status": "print all metrics as JSON",
    "pause": "set every input to neutral and stop ticking",
    "resume": "end your pause",
    "save": "write a checkpoint to disk",
    "stop": "end the run as Ctrl-C does",
}
ANSWER_LIMIT_S = 90.0
"""Longer than any limit of the agent's own commands."""
STOP_LIMIT_S = 60.0
POLL_S = 0.1


class CommandError(Exception):
    """No agent is running, or its command failed; the message says which."""


class NoAnswerError(CommandError):
    """The agent is alive but does not answer; the message says how it failed."""


def find_run(folder: Path) -> Path:
    """Return the newest run at or below a folder whose agent is alive.

    Raises:
        CommandError: there is none.
    """
    locks = [*folder.glob(LOCK_FILE), *folder.glob(f"*/*/{LOCK_FILE}")]
    alive = [lock for lock in locks if agent_alive(lock.parent)]
    if not alive:
        raise CommandError(f"no agent runs in {folder} (--run names another folder)")
    # An agent writes its lock file when it takes the lock.
    return max(alive, key=_written_at).parent


def _written_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0  # Removed meanwhile.


def ask(folder: Path, command: str) -> dict[str, Any]:
    """Send a command to the API of a run; return its answer.

    Raises:
        NoAnswerError: no answer came, or not in time.
        CommandError: the command failed.
    """
    method = "GET" if command == "status" else "POST"
    try:
        address = read_address(folder)
        # Direct, without a proxy: the agent is on this machine.
        connection = HTTPConnection(address.host, address.port, timeout=ANSWER_LIMIT_S)
        headers = {"Authorization": f"Bearer {address.token}", "X-From": "ctl"}
        with closing(connection):
            connection.request(method, f"/{command}", headers=headers)
            response = connection.getresponse()
            answer = json.loads(response.read())
    except FileNotFoundError as error:
        raise NoAnswerError("it has no API (yet)") from error
    except (OSError, ValueError, HTTPException) as error:
        raise NoAnswerError(f"{type(error).__name__}: {error}") from error
    if not isinstance(answer, dict):
        raise NoAnswerError(f"{address.host}:{address.port} is another program's")
    if response.status != 200:
        raise CommandError(str(answer.get("error", f"status {response.status}")))
    return answer


def stop(folder: Path) -> bool:
    """Request a clean stop and wait for it; return whether the run ended in time.

    Raises:
        CommandError: the agent does not answer and cannot be signalled.
    """
    try:
        ask(folder, "stop")
    except NoAnswerError as error:
        _signal(folder, str(error))
    end = time.monotonic() + STOP_LIMIT_S
    while time.monotonic() < end:
        # The run releases it last, after the summary is written.
        if not agent_alive(folder):
            return True
        time.sleep(POLL_S)
    return False


def _signal(folder: Path, reason: str) -> None:
    """Send a signal to the agent, if it is proven which process that is.

    Raises:
        CommandError: it is not, or this user may not.
    """
    try:
        pid = agent_process(folder)
        if pid is not None:
            print_error(f"The agent's API does not answer ({reason}): sending a signal.")
            # On Windows a process cannot catch SIGTERM, but it can catch Ctrl-Break.
            os.kill(pid, getattr(signal, "CTRL_BREAK_EVENT", signal.SIGTERM))
    except ProcessLookupError:
        return  # It has just ended.
    except OSError as error:
        raise CommandError(f"the agent in {folder} cannot be signalled: {error}") from error
    if pid is None and agent_alive(folder):
        raise CommandError(
            f"the agent in {folder} does not answer ({reason}), and its process is not one of "
            "yours here: stop it as the user, and in the container or on the machine, that runs it"
        )


def _do(command: str, run: Path) -> str:
    """Do a command; return what to print.

    Raises:
        CommandError: it failed.
    """
    folder = find_run(run)
    if command == "stop":
        if not stop(folder):
            raise CommandError(f"{folder} has not ended after {STOP_LIMIT_S:.0f} s")
        return f"Stopped {folder}"
    try:
        answer = ask(folder, command)
    except NoAnswerError as error:
        raise NoAnswerError(f"the agent in {folder} does not answer: {error}") from error
    return json_text(answer, indent=2) if command == "status" else f"{folder}: {answer['done']}"


def main() -> int:
    """Do the command of the command line; return the exit code."""
    open_missing_streams()
    parser = argparse.ArgumentParser(
        prog="python -m agent.ctl",
        description=__doc__,
        epilog="; ".join(f"{name}: {what}" for name, what in COMMANDS.items()),
    )
    parser.add_argument("command", choices=list(COMMANDS))
    parser.add_argument("--run", type=Path, default=Path("runs"), help="a run, or the runs folder")
    options = parser.parse_args()
    try:
        safe_print(_do(options.command, options.run))
    except CommandError as error:
        return print_failure(error)
    except KeyboardInterrupt:
        print_error("Waits no longer; what was requested goes on.")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
