"""Finds the run and the checkpoint to resume from, and prints which settings differ.

Nothing heavy is imported here, so that errors show before anything starts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from agent.errors import RunFailure, UsageError
from agent.run_dir import RECORDING, RunLock
from agent.settings.schema import Settings
from pamiq_lightning.checkpoint.store import (
    CheckpointError,
    find_checkpoints,
    last_saved,
    trainer_lock,
    verify,
)
from pamiq_lightning.recording.schema import recorder_lock
from pamiq_lightning.utils.builtin_types import to_plain
from pamiq_lightning.utils.file_lock import FileLock, HeldError

AUTO = "auto"
END_LIMIT_S = 60.0
_SHOWN = 60
"""Characters of a setting's value in a message."""
Notify = Callable[[str], None]
_PER_START = ("steps", "seconds", "runs", "api_port")
"""Settings of one start, not of the run."""


def resolve_checkpoint(resume: str, runs: Path, experiment: str, notify: Notify) -> Path:
    """Return the checkpoint to resume from.

    Raises:
        RunFailure: the run is running, or no checkpoint of it can be used.
    """
    run = find_run(resume, runs, experiment, notify)
    lock = RunLock(run)
    lock.take()
    lock.release()
    _wait_for_last(run, "trainer", trainer_lock(run), notify)
    recorder = recorder_lock(run / RECORDING)
    if recorder.is_file():
        _wait_for_last(run, "recorder", recorder, notify)
    start = choose_checkpoint(run, notify)
    notify(f"Resuming from {start}.")
    return start


def _wait_for_last(run: Path, who: str, path: Path, notify: Notify) -> None:
    """Wait until a process that outlived its agent has released its lock: it has saved and ended.

    Raises:
        RunFailure: it does not end.
    """
    lock = FileLock(path)
    try:
        lock.take()
    except HeldError:
        notify(f"Waiting for the run's last {who} to save and end.")
        try:
            lock.wait(END_LIMIT_S)
        except HeldError as held:
            raise RunFailure(
                f"{run}: its last {who} ({held}) has not ended after {END_LIMIT_S:.0f} s; end it "
                "first"
            ) from held
    lock.release()


def find_run(resume: str, runs: Path, experiment: str, notify: Notify) -> Path:
    """Return the folder of the run that `resume=` names.

    Raises:
        RunFailure: no run has a checkpoint.
    """
    if resume != AUTO:
        folder = Path(resume)
        if not find_checkpoints(folder):
            raise RunFailure(f"{folder} has no checkpoint to resume from")
        return folder
    found = [folder for folder in (runs / experiment).glob("*") if folder.is_dir()]
    # By what was saved last: anybody can give a folder any name.
    saved = {folder: time for folder in found if (time := last_saved(folder)) is not None}
    newest = max(saved, key=saved.__getitem__, default=runs)
    for folder in found:
        # File times are coarse.
        if folder not in saved and folder.stat().st_mtime > saved.get(newest, 0.0) - 1.0:
            notify(f"{folder} is skipped: it has no checkpoint.")
    if saved:
        return newest
    raise RunFailure(
        f"resume=auto: no run in {runs / experiment} has a checkpoint; without resume= a new run "
        "starts"
    )


def choose_checkpoint(run: Path, notify: Notify) -> Path:
    """Return the newest checkpoint whose files are all undamaged.

    Raises:
        RunFailure: there is none. A new run never starts in the place of a lost one.
    """
    problems = []
    for folder in find_checkpoints(run):
        try:
            verify(folder)
        except CheckpointError as error:
            problems.append(str(error))
            notify(f"Not used: {error}")
            continue
        return folder
    raise no_valid_checkpoint(run, problems)


def no_valid_checkpoint(run: Path, problems: list[str]) -> RunFailure:
    """Return the error for a run without a usable checkpoint."""
    return RunFailure(f"{run} has no checkpoint that can be used: {'; '.join(problems)}")


def print_config_diff(then: Mapping[str, Any], settings: Settings, notify: Notify) -> None:
    """Print which settings differ from the checkpoint's.

    Args:
        then: the checkpoint's.
        settings: the present ones, defaults of classes filled in.
        notify: takes one line at a time.

    Raises:
        UsageError: `init_weights` is set, but the weights come from the checkpoint.
    """
    found = config_diff(then, to_plain(settings))
    for key, (_, now) in found.items():
        if key.endswith(".init_weights") and now is not None:
            raise UsageError(
                f"{key}={now}: a resumed run has its weights; start a new run from that file"
            )
    if found:
        notify("Settings changed since the checkpoint:")
    for key, (before, after) in found.items():
        notify(f"  {key}: {_short(before)} -> {_short(after)}")


def _short(value: Any) -> str:
    """Return a value for a message: of a class its name, and at most 60 characters."""
    text = str(value.get("class_path", value) if isinstance(value, Mapping) else value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


def config_diff(
    then: Mapping[str, Any], now: Mapping[str, Any], prefix: str = ""
) -> dict[str, tuple[Any, Any]]:
    """Return the differences of two nested settings, by dotted key."""
    found: dict[str, tuple[Any, Any]] = {}
    for key in {**then, **now}:
        before, after, name = then.get(key), now.get(key), f"{prefix}{key}"
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            found |= config_diff(before, after, f"{name}.")
        elif before != after and name not in _PER_START:
            found[name] = before, after
    return found
