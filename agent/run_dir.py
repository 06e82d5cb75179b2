"""The folder that a run leaves: made at its start, with all that is needed to repeat it."""

from __future__ import annotations

import os
import traceback
from datetime import datetime
from pathlib import Path

import yaml

from agent.ctl import PID_FILE
from agent.errors import RunFailure
from agent.settings.schema import Settings, plain_settings


def make_run_folder(runs: Path, conf: str) -> Path:
    """Make `runs/<experiment>/<date-time>`.

    Raises:
        RunFailure: it cannot be written.
    """
    name = datetime.now().strftime("%Y%m%d-%H%M%S")
    folder = runs / conf / name
    try:
        for attempt in range(1, 100):
            try:
                folder.mkdir(parents=True)
                return folder
            except FileExistsError:
                folder = runs / conf / f"{name}-{attempt}"
    except OSError as error:
        raise RunFailure(f"runs={runs}: cannot be written to ({error.strerror})") from error
    raise RunFailure(f"runs={runs}: a hundred runs were started in this second")


def write_settings(folder: Path, settings: Settings) -> None:
    """Write all that is needed to repeat the run."""
    text = yaml.safe_dump(plain_settings(settings), sort_keys=False)
    (folder / "settings.yaml").write_text(text, encoding="utf-8")


def write_pid(folder: Path) -> None:
    """Say that this process lives here: `agent.ctl` finds it by that."""
    (folder / PID_FILE).write_text(str(os.getpid()), encoding="ascii")


def remove_pid(folder: Path) -> None:
    """Say that the run is over; the last thing it does."""
    (folder / PID_FILE).unlink(missing_ok=True)


def write_error(folder: Path, error: Exception) -> RunFailure:
    """Keep the whole story in a file, and return it told in one line."""
    path = folder / "error.log"
    told = f"{type(error).__name__}: {error}"
    try:
        path.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
    except OSError as refusal:
        traceback.print_exception(error)
        return RunFailure(f"{told} ({path} cannot be written: {refusal.strerror})")
    return RunFailure(f"{told} (see {path})")
