"""An embedded world that runs beside the agent in real time and is steered over OSC."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agent.osc.sender import OscSender
from agent.worlds.embedded.realtime_process import SimulationConfig
from agent.worlds.embedded.scenes.base import Scene
from agent.worlds.embedded.shared_frame import SharedFrame
from agent.worlds.embedded.simulation import INFO_NAMES, Size

HOST = "127.0.0.1"
START_LIMIT = 60.0
"""Seconds a world may take to draw its first frame; numba may have to compile first."""
_STOP_LIMIT = 5.0


class RealtimeWorld:
    """Implements `agent.worlds.base.World` with the simulation in a process of its own.

    It is a plain subprocess, not a multiprocessing one, because that would import the caller's
    main module, and torch with it.

    Args:
        place: the world's recipe.
        size: side of the square frames, or (height, width).
        seed: of everything left to chance.
        osc_port: UDP port on which the world listens; None: any free one.
        supersample: pixels drawn for each pixel shown, along each side.
        scale: seconds of the world's time to a second on the wall.

    Attributes:
        port: where the world listens.

    Raises:
        RuntimeError: the world failed to start, or took longer than a minute.
    """

    invalid_reason = None
    """Its eyes never fail."""

    def __init__(
        self,
        scene: Scene,
        size: Size,
        seed: int,
        osc_port: int | None = None,
        supersample: int = 1,
        scale: float = 1.0,
    ) -> None:
        self.info_names = INFO_NAMES
        height, width = (size, size) if isinstance(size, int) else size
        self._closed = False
        self._memory = SharedFrame.create(height, width, len(INFO_NAMES))
        config = SimulationConfig(
            scene, size, seed, supersample, osc_port, scale, self._memory.path, height, width
        )
        self._process = self._spawn(config)
        try:
            self._await_first_frame()
            self.port = self._memory.port
            self._sender = OscSender(HOST, self.port)
        except BaseException:
            self._stop()
            raise
        # Nobody else needs the file by name, so it cannot be left behind.
        self._memory.remove()

    def _spawn(self, config: SimulationConfig) -> subprocess.Popen[bytes]:
        """Start the process and hand it its order; it keeps clear of the terminal's Ctrl-C."""
        message = pickle.dumps(config)
        search = os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)
        new_group = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
        process = subprocess.Popen(
            # -P: an agent.py in the working folder must not hide the package.
            [sys.executable, "-P", "-m", "agent.worlds.embedded.realtime_process"],
            stdin=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": search},
            start_new_session=os.name == "posix",
            creationflags=new_group,
        )
        assert process.stdin is not None
        # Should it be dead already, that is noticed while waiting for its first frame.
        with suppress(BrokenPipeError):
            process.stdin.write(message)
            process.stdin.flush()
        return process

    def _await_first_frame(self) -> None:
        limit = time.monotonic() + START_LIMIT
        while self._memory.drawn == 0:
            self._check_alive()
            if time.monotonic() > limit:
                raise RuntimeError(
                    f"the embedded world drew no frame within {START_LIMIT:.0f} s; "
                    "is the machine overloaded?"
                )
            time.sleep(0.005)

    def _check_alive(self) -> None:
        code = self._process.poll()
        if code is not None:
            reason = self._memory.failure or f"exit code {code}"
            raise RuntimeError(f"the embedded world has ended: {reason}")

    def status(self) -> dict[str, str | int | None]:
        """Return nothing: such a body has nothing to tell."""
        return {}

    def observe(self) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Return the newest frame (3, H, W) and its info (K,), without waiting.

        Raises:
            RuntimeError: the world's process has ended.
        """
        self._check_alive()
        return self._memory.read()

    def act(self, action: NDArray[np.int64]) -> None:
        """Send an action (A,) over OSC."""
        self._sender.act(action)

    def release_inputs(self) -> None:
        """Send neutral on every input."""
        self._sender.release_inputs()

    @property
    def ignored(self) -> int:
        """OSC messages that meant nothing to the world."""
        return self._memory.ignored

    @property
    def skipped(self) -> int:
        """Frames that were not drawn because the machine was late."""
        return self._memory.skipped

    def close(self) -> None:
        """Rest and end the world. May be called twice."""
        if self._closed:
            return
        self._closed = True
        try:
            self._sender.close()
        finally:
            self._stop()

    def _stop(self) -> None:
        """Close the pipe, which ends the process, and release the memory."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(_STOP_LIMIT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._memory.close()
        self._memory.remove()
