"""Child processes: how they start, which signals they ignore, whether their parent is alive.

Where the system has one, a fork server imports the heavy modules once and forks, so a dead trainer
is replaced within a second. (A plain fork hangs in the child once torch has used its threads.)
Elsewhere every process imports them itself.
"""

from __future__ import annotations

import multiprocessing as mp
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.context import SpawnContext
from pathlib import Path
from typing import TypeAlias

from pamiq_lightning.utils.stop_signals import stop_signals

if sys.platform == "win32":
    Context: TypeAlias = SpawnContext
else:
    from multiprocessing.context import ForkServerContext

    Context: TypeAlias = ForkServerContext | SpawnContext

PRELOAD = ["pamiq_lightning.trainer.main"]
"""Imported by the fork server before its first child."""
POLL_S = 0.5
"""Longest wait of one process without a look at whether the other is alive."""
_SILENT = "ignore:resource_tracker:UserWarning"
"""Python's tracker removes the semaphores of a killed process; a person need not read that."""


def context() -> Context:
    """Return the multiprocessing context of this project."""
    # OpenMP threads that spin while they wait would take the core from the agent.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # Handed on to the processes that multiprocessing starts, the tracker among them.
    if _SILENT not in sys.warnoptions:
        sys.warnoptions.append(_SILENT)
    if sys.platform == "win32" or "forkserver" not in mp.get_all_start_methods():
        return mp.get_context("spawn")
    server = mp.get_context("forkserver")
    server.set_forkserver_preload(PRELOAD)
    return server


def start_module(
    name: str, stdout: int | None = None, stderr: int | None = None
) -> subprocess.Popen[bytes]:
    """Start a module as a program of its own, out of reach of the terminal's Ctrl-C.

    Unlike a child of `context`, it imports nothing but that module.

    Args:
        name: of the module, dotted.
        stdout: as `subprocess.Popen` takes it.
        stderr: as `subprocess.Popen` takes it.

    Returns:
        The process; its standard input is a pipe.

    Raises:
        OSError: the system could not start it.
    """
    search = os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)
    return subprocess.Popen(
        # -P: an agent.py in the working folder must not hide the package.
        [sys.executable, "-P", "-m", name],
        stdin=subprocess.PIPE,
        stdout=stdout,
        stderr=stderr,
        env={**os.environ, "PYTHONPATH": search},
        start_new_session=os.name == "posix",
        creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
    )


@contextmanager
def stop_signals_blocked() -> Iterator[None]:
    """Block stop signals in this thread and in the processes that it starts.

    Ctrl-C and a closed terminal signal the whole process group. A fork server that ended by that
    would make the agent take its children for dead.
    """
    if sys.platform == "win32":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, stop_signals())
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def ignore_stop_signals() -> None:
    """In a child: ignore stop signals; the agent decides what a signal to the group means."""
    for number in stop_signals():
        signal.signal(number, signal.SIG_IGN)


def parent_alive() -> bool:
    """In a child: return whether the agent still runs."""
    parent = mp.parent_process()
    return parent is None or parent.is_alive()
