"""An agent in a process of its own, started, watched and ended by a tool."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import psutil
from numpy.typing import NDArray

from agent.osc.ports import bind_udp
from agent.run_dir import RECORDING, TRAINER_LOG
from pamiq_lightning.checkpoint.store import find_checkpoints, trainer_lock
from pamiq_lightning.recording.reader import RecordingReader
from pamiq_lightning.recording.schema import recorder_lock
from pamiq_lightning.utils.file_lock import holder
from tools.saved_run import read_summary

START_LIMIT_S = 120.0
END_LIMIT_S = 60.0
ENDLESS = ("steps=1000000",)
"""Settings of a run that only a tool ends."""
_RUN_FOLDER = "Run folder: "


def wait_until(done: Callable[[], object], limit_s: float, look_s: float = 0.02) -> bool:
    """Return whether a condition came true within the limit."""
    end = time.monotonic() + limit_s
    while not done():
        if time.monotonic() > end:
            return False
        time.sleep(look_s)
    return True


def _lock_holder(path: Path) -> psutil.Process | None:
    """Return the process that holds a lock; None if there is none."""
    try:
        pid = holder(path)
        return None if pid is None else psutil.Process(pid)
    except (FileNotFoundError, psutil.NoSuchProcess):
        return None


class Line(NamedTuple):
    """A line that an agent printed, and when (monotonic s)."""

    time: float
    text: str


class AgentProcess:
    """`python -m agent.run` in a session of its own; its output is read in the background.

    Attributes:
        started: monotonic s.
        lines: all it has printed.
    """

    def __init__(
        self, runs: Path, *settings: str, environment: Mapping[str, str] | None = None
    ) -> None:
        self.started, self.lines = time.monotonic(), list[Line]()
        self.process = subprocess.Popen(
            [sys.executable, "-u", "-m", "agent.run", *settings, f"runs={runs}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for text in self.process.stdout:
            self.lines.append(Line(time.monotonic(), text))

    @property
    def output(self) -> str:
        """All it has printed."""
        return "".join(line.text for line in self.lines)

    @property
    def alive(self) -> bool:
        """Whether its process runs."""
        return self.process.poll() is None

    @property
    def folder(self) -> Path:
        """The run folder, once it is printed, which is right before the first tick.

        Raises:
            RuntimeError: the agent ended before, or took too long; the message has its output.
        """
        wait_until(lambda: self._folder_lines() or not self.alive, START_LIMIT_S)
        if not self._folder_lines() and not self.alive:
            self._reader.join(timeout=5)
        if not (found := self._folder_lines()):
            raise RuntimeError(f"the agent did not start:\n{self.output}")
        return Path(found[0].removeprefix(_RUN_FOLDER).strip())

    def _folder_lines(self) -> list[str]:
        return [line.text for line in self.lines if line.text.startswith(_RUN_FOLDER)]

    def processes(self) -> list[psutil.Process]:
        """Return the agent's process and all below it but the watchdog, which ends by itself."""
        root, found = psutil.Process(self.process.pid), []
        for process in (root, *root.children(recursive=True)):
            try:
                if not any("watchdog_process" in word for word in process.cmdline()):
                    found.append(process)
            except psutil.NoSuchProcess:
                continue
        return found

    def trainer(self) -> psutil.Process | None:
        """Return the run's trainer, if one runs."""
        return _lock_holder(trainer_lock(self.folder))

    def recorder(self) -> psutil.Process | None:
        """Return the run's recorder, if one runs."""
        return _lock_holder(recorder_lock(self.folder / RECORDING))

    def trainer_starts(self) -> int:
        """Return how often a trainer has become ready."""
        return (self.folder / TRAINER_LOG).read_text().count("ready at")

    def wait_for_new_trainer(self, starts: int, limit_s: float) -> bool:
        """Return whether a trainer became ready after the first `starts`, within the limit."""
        return wait_until(lambda: self.trainer_starts() > starts, limit_s)

    def wait_for_checkpoint(self) -> None:
        """Return when the run has a checkpoint newer than the newest one now.

        Raises:
            RuntimeError: there is none within a minute.
        """
        newest = find_checkpoints(self.folder)[:1]
        if not wait_until(lambda: find_checkpoints(self.folder)[:1] != newest, END_LIMIT_S):
            raise RuntimeError(f"no checkpoint within {END_LIMIT_S:.0f} s: see {self.folder}")

    def steps(self) -> dict[str, NDArray[np.generic]]:
        """Return all recorded steps, in order, without their frames."""
        reader = RecordingReader(self.folder)
        return reader.read(0, len(reader), without={"frame"})

    def join(self) -> Path:
        """Wait for the end that its settings give it; return its run folder.

        Raises:
            RuntimeError: it failed; the message has its output.
        """
        if code := self.process.wait():
            self._reader.join()
            raise RuntimeError(f"the agent ended with {code}:\n{self.output}")
        return self.folder

    def stop(self) -> dict[str, Any]:
        """End the run and return its summary."""
        self.process.terminate()
        self.process.wait(END_LIMIT_S)
        summary = read_summary(self.folder)
        if summary is None:
            raise RuntimeError(f"the run has no summary:\n{self.output}")
        return summary

    def kill(self) -> None:
        """Kill what still runs of it."""
        for process in self.processes() if self.alive else ():
            if process.is_running():
                process.kill()
        self.process.wait()
        self._reader.join(timeout=5)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


def start_agent(
    runs: Path, *settings: str, environment: Mapping[str, str] | None = None
) -> AgentProcess:
    """Return an agent that is about to make its first tick.

    Raises:
        RuntimeError: it did not come that far; the message has its output.
    """
    agent = AgentProcess(runs, *settings, environment=environment)
    try:
        _ = agent.folder
    except BaseException:
        agent.kill()
        raise
    return agent


def free_udp_port() -> int:
    """Return a UDP port that nobody holds now."""
    with bind_udp("127.0.0.1", 0) as socket:
        port: int = socket.getsockname()[1]
    return port
