"""VRChat as a world: frames from the screen, actions by OSC, inputs released on any fault."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from agent.capture.base import CaptureError, FrameSource
from agent.capture.screen import Screen
from agent.osc.action_filter import ActionFilter
from agent.osc.parameters import Listener
from agent.osc.ports import input_takers
from agent.osc.query import Advertiser
from agent.osc.sender import OscSender
from agent.osc.watchdog import Watchdog
from agent.worlds.vrchat.frame_check import FrameCheck
from agent.worlds.vrchat.stuck_check import StuckCheck
from pamiq_lightning.utils.console import print_error

COUNTDOWN_S = 5.0
"""Seconds a person has to stop the agent before its first input."""
_WALKING = ("/input/Vertical", "/input/Horizontal")
_MOVING = (*_WALKING, "/input/LookHorizontal")


class VRChat:
    """The VRChat client. While no frame is valid, no input is held.

    Args:
        size: pixels a side of the frames.
        host: where VRChat runs.
        port: the UDP port on which VRChat listens.
        title: the exact title of VRChat's window.
        source: frame source instead of the screen (a camera, a video).
        listen: the UDP port of the avatar parameters, "oscquery" to let VRChat find a free
            one, or None not to listen.
        action_filter: disabled actions, turn speed, smoothing.
        rate_hz: ticks a second.
        clock: monotonic seconds.

    Attributes:
        info_names: the avatar parameters that `info` holds.
        invalid_reason: why the last frame is not valid; None when it is. The rows of invalid
            frames are not valid, and the first one after them is_first.

    Raises:
        CaptureError: no frame can be captured; the message says what to do.
        PortTakenError: another program listens on `listen`.
        OscQueryError: listening by OSCQuery is not possible here.
        OSError: `host` is unknown.
    """

    def __init__(
        self,
        size: int,
        host: str = "127.0.0.1",
        port: int = 9000,
        title: str = "VRChat",
        source: FrameSource | None = None,
        listen: int | Literal["oscquery"] | None = 9001,
        action_filter: ActionFilter | None = None,
        rate_hz: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.invalid_reason: str | None = None
        self._clock = clock
        self._frame = np.zeros((3, size, size), np.uint8)
        self._frame_check = FrameCheck(self._frame.shape, rate_hz)
        self._stuck_check = StuckCheck()
        self._released = True
        with ExitStack() as parts:
            find_takers = partial(input_takers, host, port)
            self._source = source if source is not None else Screen(size, title, clock, find_takers)
            parts.callback(self._source.close)
            self._listener = self._listen(listen, parts)
            # Before the sender: no input is ever sent unwatched.
            self._watchdog = Watchdog(host, port)
            parts.callback(self._watchdog.close)
            self._sender = OscSender(host, port, clock, action_filter)
            parts.callback(self._sender.close)
            self._parts = parts.pop_all()
        self.info_names = self._listener.names if self._listener is not None else ()

    def observe(self) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Return the frame (3, size, size) and the avatar parameters (K,), NaN where unknown.

        Without a new frame it is the last one again, and `invalid_reason` says why.
        """
        begun = self._clock()
        try:
            frame = self._source.read()
        except CaptureError as lost:
            self._set_invalid_reason(str(self._frame_check.lost(str(lost), begun)))
        else:
            now = self._clock()
            fault = self._frame_check.judge(
                frame, self._commanded(_MOVING), now, now - begun, self._source.captured
            )
            if frame.shape == self._frame.shape:
                self._frame = frame
            self._set_invalid_reason(None if fault is None else str(fault))
        listener = self._listener
        return self._frame, np.empty(0, np.float32) if listener is None else listener.values()

    def act(self, action: NDArray[np.int64]) -> None:
        """Send an action (A,); inputs stay released while frames are not valid."""
        if self._frame_check.may_act:
            self._watchdog.beat()
            self._sender.act(action)
            self._released = False
        elif not self._released:
            self._release()
        self._check_motion()

    def release_inputs(self) -> None:
        """Send neutral on every address; no heartbeat is due until the next action."""
        self._release()
        self._stuck_check.reset()

    def close(self) -> None:
        """Release the inputs, then sockets, display and watchdog. May be called twice."""
        self._parts.close()

    def status(self) -> dict[str, str | int | None]:
        """Return the state of capture, motion and OSC, with their counters."""
        listener = self._listener
        return {
            "invalid_reason": self.invalid_reason,
            "motion": self._stuck_check.problem,
            "stuck": self._stuck_check.stuck_count,
            "drifted": self._stuck_check.drift_count,
            "osc_send_errors": self._sender.send_errors,
            "osc_received": listener.received if listener is not None else None,
            "osc_malformed": listener.malformed if listener is not None else None,
            "watchdog_releases": self._watchdog.releases,
            **{f"invalid_{kind}": count for kind, count in self._frame_check.counts.items()},
        }

    def _listen(
        self, listen: int | Literal["oscquery"] | None, parts: ExitStack
    ) -> Listener | None:
        if listen is None:
            return None
        listener = Listener(0 if listen == "oscquery" else listen)
        parts.callback(listener.close)
        if listen == "oscquery":
            parts.callback(Advertiser(listener.port).close)
        return listener

    def _release(self) -> None:
        self._sender.release_inputs()
        self._watchdog.release_inputs()
        self._released = True

    def _commanded(self, addresses: tuple[str, ...]) -> bool:
        held = self._sender.input_state()
        return any(held[address] != 0.0 for address in addresses)

    def _set_invalid_reason(self, reason: str | None) -> None:
        if reason is not None and self.invalid_reason is None:
            print_error(f"no valid frame: {reason}; inputs are released until one comes")
        elif reason is None and self.invalid_reason is not None:
            print_error("frames are valid again")
        self.invalid_reason = reason

    def _check_motion(self) -> None:
        if self._listener is None:
            return
        speed = self._listener.value("VelocityMagnitude")
        before = self._stuck_check.problem
        problem = self._stuck_check.watch(self._commanded(_WALKING), speed, self._clock())
        if problem is not None and problem != before:
            print_error(f"the avatar is {problem}")
