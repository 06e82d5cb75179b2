"""Which run to go on with, from which checkpoint, and what is set otherwise than it was.

Nothing heavy is imported here, so that all this is told before anything starts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from agent.errors import RunFailure, UsageError
from agent.run_dir import RECORDING, RunLock
from agent.settings.schema import Settings, plain_settings
from pamiq_lightning.checkpoint.store import (
    CheckpointError,
    find_checkpoints,
    trainer_lock,
    verify,
)
from pamiq_lightning.recording.schema import recorder_lock
from pamiq_lightning.utils.file_lock import FileLock, HeldError

AUTO = "auto"
END_LIMIT_S = 60.0
Notify = Callable[[str], None]
_OF_THIS_START = ("steps", "seconds", "runs", "api_port")
"""Keys that say nothing of the life that goes on."""


def resolve_checkpoint(resume: str, runs: Path, experiment: str, notify: Notify) -> Path:
    """Return the checkpoint that a life goes on from.

    Raises:
        RunFailure: the run goes on already, or no checkpoint of it can be used.
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
    notify(f"Goes on from {start}.")
    return start


def _wait_for_last(run: Path, who: str, path: Path, notify: Notify) -> None:
    """Return when a process whose agent is gone has let go of its lock: it has saved and ended.

    Raises:
        RunFailure: it does not end.
    """
    lock = FileLock(path)
    try:
        lock.take()
    except HeldError:
        notify(f"Waiting for the last {who} of this run to save and end.")
        try:
            lock.wait(END_LIMIT_S)
        except HeldError as holder:
            raise RunFailure(
                f"{run}: its last {who} (process {holder}) has not ended after "
                f"{END_LIMIT_S:.0f} s; end it first"
            ) from holder
    lock.release()


def find_run(resume: str, runs: Path, experiment: str, notify: Notify) -> Path:
    """Return the folder of the run that `resume=` names.

    Raises:
        RunFailure: no run has a checkpoint to go on from.
    """
    if resume != AUTO:
        folder = Path(resume)
        if not find_checkpoints(folder):
            raise RunFailure(f"{folder} has no checkpoint to go on from")
        return folder
    found = [folder for folder in (runs / experiment).glob("*") if folder.is_dir()]
    for folder in sorted(found, key=_age, reverse=True):
        if find_checkpoints(folder):
            return folder
        notify(f"{folder} is passed over: it has no checkpoint.")
    raise RunFailure(
        f"resume=auto: no run in {runs / experiment} has a checkpoint; without resume= a new life "
        "begins"
    )


def _age(folder: Path) -> tuple[str, str]:
    """Sort by when a run was begun; a counter behind the second comes after none."""
    stamp, _, rest = folder.name.partition("-")
    return stamp, rest


def choose_checkpoint(run: Path, notify: Notify) -> Path:
    """Return the newest checkpoint of which every file is as it was written.

    Raises:
        RunFailure: there is none. A life is never begun anew in the place of one that is lost.
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
    raise none_is_sound(run, problems)


def none_is_sound(run: Path, problems: list[str]) -> RunFailure:
    """Return what is raised when no checkpoint can be used."""
    return RunFailure(f"{run} has no checkpoint that can be used: {'; '.join(problems)}")


def print_config_diff(then: Mapping[str, Any], settings: Settings, notify: Notify) -> None:
    """Say which settings differ from those that the checkpoint was written under.

    Args:
        then: those.
        settings: of now, the defaults of classes filled in.
        tell: takes one line at a time.

    Raises:
        UsageError: a learner is to begin from a file, though its weights are in the checkpoint.
    """
    found = config_diff(then, plain_settings(settings))
    for key, (_, now) in found.items():
        if key.endswith(".init_weights") and now is not None:
            raise UsageError(
                f"{key}={now}: a run that goes on has its weights; begin a new one from that file"
            )
    if found:
        notify("Set otherwise than when the checkpoint was written:")
    for key, (before, after) in found.items():
        notify(f"  {key}: {before} -> {after}")


def config_diff(
    then: Mapping[str, Any], now: Mapping[str, Any], prefix: str = ""
) -> dict[str, tuple[Any, Any]]:
    """Return what two nested settings differ in, by the key with dots."""
    found: dict[str, tuple[Any, Any]] = {}
    for key in {**then, **now}:
        before, after, name = then.get(key), now.get(key), f"{prefix}{key}"
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            found |= config_diff(before, after, f"{name}.")
        elif before != after and name not in _OF_THIS_START:
            found[name] = before, after
    return found
