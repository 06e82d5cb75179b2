"""From the command line to a run: reads the settings, starts the trainer, builds the agent."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Sequence
from pathlib import Path

from agent.capture.base import CaptureError
from agent.errors import RunFailure, StoppedEarly, UsageError, cannot_start
from agent.lifecycle.resume import AUTO, resolve_checkpoint
from agent.lifecycle.signals import StopRequest
from agent.osc.ports import bind_tcp
from agent.run_dir import SETTINGS
from agent.settings.compose import compose, conf_name, read_command_line
from agent.settings.schema import Settings, parse
from agent.worlds.factory import resolve_world
from pamiq_lightning.trainer.process import TrainerProcess
from pamiq_lightning.utils.console import safe_print
from pamiq_lightning.utils.usage_error import check_interpreter


def start(arguments: Sequence[str], stop: StopRequest) -> int:
    """Do the run that a command line describes; return the exit code.

    Raises:
        UsageError: the command line or the settings are wrong.
        RunFailure: the run cannot start, or failed.
        StoppedEarly: it was stopped before the first tick.
    """
    check_interpreter()
    command = read_command_line(arguments)
    if command.resume not in (None, AUTO) and not Path(str(command.resume)).is_dir():
        raise UsageError(f"resume={command.resume}: is no folder; give that of a run, or auto")
    settings = parse(compose(command, default_size))
    if command.help:
        from agent.settings.help import render

        safe_print(render(settings))
        return 0
    return _start(settings, experiment_name(command.conf), command.resume, stop)


def experiment_name(conf: str) -> str:
    """Return the folder name of a conf's runs; for a run's own settings file, that of the run."""
    path = Path(conf)
    return path.resolve().parent.parent.name if path.name == SETTINGS else conf_name(path)


def default_size() -> str:
    """Return `small` where torch has CUDA, else `tiny`; import torch only with an NVIDIA driver."""
    if shutil.which("nvidia-smi") is None:
        return "tiny"
    import torch

    return "small" if torch.cuda.is_available() else "tiny"


def _start(settings: Settings, experiment: str, resume: str | None, stop: StopRequest) -> int:
    checkpoint = None
    try:
        resolve_world(settings, safe_print)
        if resume is not None:
            checkpoint = resolve_checkpoint(resume, Path(settings.runs), experiment, safe_print)
        # Bound now and kept: a port that is taken is reported before anything heavy starts.
        listening = bind_tcp("127.0.0.1", settings.api_port or 0)
    except CaptureError as error:
        raise RunFailure(str(error)) from error
    except OSError as error:
        raise cannot_start(error, settings.runs) from error
    # Started before torch is imported here, so that both processes load it at the same time.
    trainer = _start_trainer(listening)
    try:
        from agent.lifecycle.runner import Runner

        if stop():
            raise StoppedEarly
        return Runner(settings, experiment, trainer, stop, listening, checkpoint).run()
    finally:
        trainer.kill()
        listening.close()


def _start_trainer(listening: socket.socket) -> TrainerProcess:
    """Start the trainer's process; close the socket if the system refuses.

    Raises:
        RunFailure: there is no room for what processes share.
    """
    try:
        return TrainerProcess()
    except OSError as error:
        listening.close()
        raise RunFailure(
            f"the run cannot start: processes cannot share a semaphore ({error.strerror}); on "
            "Linux /dev/shm must have room and be writable"
        ) from error
