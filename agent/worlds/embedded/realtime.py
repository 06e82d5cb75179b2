"""The embedded world in real time: a process of its own, controlled over OSC."""

from __future__ import annotations

import pickle
import subprocess
import time
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from agent.osc.sender import OscSender
from agent.worlds.embedded.realtime_process import SimulationConfig
from agent.worlds.embedded.scenes.base import Scene
from agent.worlds.embedded.shared_frame import SharedFrame
from agent.worlds.embedded.simulation import INFO_NAMES, Size
from pamiq_lightning.utils.instantiate import user_code
from pamiq_lightning.utils.processes import start_module

HOST = "127.0.0.1"
START_LIMIT = 60.0
"""Seconds until the first frame; numba may have to compile first."""
_STOP_LIMIT = 5.0


class RealtimeWorld:
    """Implements `agent.worlds.base.World` with the simulation in a process of its own.

    A plain subprocess: multiprocessing would import the caller's main module, and torch with it.

    Args:
        scene: to build.
        size: side of square frames, or (height, width), pixels.
        seed: of all randomness.
        osc_port: UDP port for inputs; None: any free port.
        scale: world seconds per wall-clock second.

    Attributes:
        port: UDP port that receives inputs.
        process: that simulates.
        shared_frame: memory shared with it.

    Raises:
        RuntimeError: the process failed to start, or took longer than a minute.
    """

    invalid_reason = None
    """Its frames are always valid."""

    def __init__(
        self, scene: Scene, size: Size, seed: int, osc_port: int | None = None, scale: float = 1.0
    ) -> None:
        self.info_names = INFO_NAMES
        height, width = (size, size) if isinstance(size, int) else size
        self._closed = False
        self.shared_frame = SharedFrame.create(height, width, len(INFO_NAMES))
        path = self.shared_frame.path
        config = SimulationConfig(scene, height, width, seed, osc_port, scale, path)
        self.process = self._spawn(config)
        try:
            self._await_first_frame()
            self.port = self.shared_frame.port
            self._sender = OscSender(HOST, self.port)
        except BaseException:
            self._stop()
            raise
        # Both sides have mapped the file; without a name it cannot be left behind.
        self.shared_frame.remove()

    def _spawn(self, config: SimulationConfig) -> subprocess.Popen[bytes]:
        """Start the process, out of reach of the terminal's Ctrl-C, and send its configuration."""
        with user_code(f"scene: {type(config.scene).__qualname__} cannot be sent to its process"):
            message = pickle.dumps(config)
        process = start_module("agent.worlds.embedded.realtime_process")
        assert process.stdin is not None
        # A process that has died already is noticed while waiting for the first frame.
        with suppress(BrokenPipeError):
            process.stdin.write(message)
            process.stdin.flush()
        return process

    def _await_first_frame(self) -> None:
        limit = time.monotonic() + START_LIMIT
        while self.shared_frame.drawn == 0:
            self._check_alive()
            if time.monotonic() > limit:
                raise RuntimeError(
                    f"the embedded world rendered no frame within {START_LIMIT:.0f} s; "
                    "is the machine overloaded?"
                )
            time.sleep(0.005)

    def _check_alive(self) -> None:
        code = self.process.poll()
        if code is not None:
            reason = self.shared_frame.failure or f"exit code {code}"
            raise RuntimeError(f"the embedded world has ended: {reason}")

    def status(self) -> dict[str, str | int | None]:
        """Return nothing: there is no connection to report."""
        return {}

    def observe(self) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Return the newest frame (3, H, W) and its info (K,), without waiting.

        Raises:
            RuntimeError: the world's process has ended.
        """
        self._check_alive()
        return self.shared_frame.read()

    def act(self, action: NDArray[np.int64]) -> None:
        """Send an action (A,) over OSC."""
        self._sender.act(action)

    def release_inputs(self) -> None:
        """Send neutral on every input."""
        self._sender.release_inputs()

    def close(self) -> None:
        """Release the inputs and end the process. May be called twice."""
        if self._closed:
            return
        self._closed = True
        try:
            self._sender.close()
        finally:
            self._stop()

    def _stop(self) -> None:
        """Close the pipe, which ends the process, and release the shared frame."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(_STOP_LIMIT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.shared_frame.close()
        self.shared_frame.remove()
