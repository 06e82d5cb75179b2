"""Sends actions to VRChat as OSC messages over UDP."""

from __future__ import annotations

import atexit
import socket
import threading
import time
from collections.abc import Callable
from functools import lru_cache
from math import inf

import numpy as np
from numpy.typing import NDArray
from pythonosc.osc_message_builder import OscMessageBuilder

from agent.actions import ACTIONS, NEUTRAL
from agent.osc.action_filter import ActionFilter
from agent.osc.input_state import InputState, Messages, Value
from pamiq_lightning.utils.console import print_error

_RELEASES = 3  # A lost neutral message would leave the avatar walking.


@lru_cache(maxsize=256)
def encode(address: str, value: Value) -> bytes:
    """Return the OSC datagram that sets one input: a float argument for axes, an int for buttons.

    Axes are clamped to -1..1 and buttons to 0..1.
    """
    button = isinstance(NEUTRAL.get(address), int)
    builder = OscMessageBuilder(address)
    # VRChat ignores buttons sent as booleans, and numpy numbers have no OSC type.
    builder.add_arg(int(min(max(value, 0), 1)) if button else float(min(max(value, -1.0), 1.0)))
    return bytes(builder.build().dgram)


class OscSender:
    """Sends actions to VRChat and never leaves an input stuck (`agent.osc.input_state`).

    A thread ends button presses in time, so a press lasts the same at every tick rate. Inputs are
    released at construction, at close and at interpreter exit. All methods may be called from any
    thread and from a signal handler; a handler that resumes the interrupted action must release
    the inputs afterwards.

    Args:
        host: where VRChat runs; a name or an IPv4 address.
        port: the UDP port it listens on.
        clock: monotonic seconds.
        action_filter: maps actions to input values; default: unchanged.

    Attributes:
        send_errors: datagrams the system refused to send, usually because nobody listens.

    Raises:
        OSError: `host` is unknown.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 9000,
        clock: Callable[[], float] = time.monotonic,
        action_filter: ActionFilter | None = None,
    ) -> None:
        self.send_errors = 0
        self._clock = clock
        self._action_filter = action_filter if action_filter is not None else ActionFilter()
        self._input_state = InputState(NEUTRAL, [axis.address for axis in ACTIONS if axis.tap])
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        try:
            # Connected, so that the system reports when nobody listens.
            self._socket.connect((host, port))
        except OSError as error:
            self._socket.close()
            raise OSError(f"OSC goes to {host}:{port}, which cannot be reached: {error}") from error
        # Reentrant: a signal handler may release inputs in the middle of an action.
        self._changed = threading.Condition(threading.RLock())
        self._closed = False
        self._releaser = threading.Thread(target=self._release, name="osc-release", daemon=True)
        self._releaser.start()
        atexit.register(self.close)
        self.release_inputs()

    def act(self, action: NDArray[np.int64]) -> None:
        """Apply one action (A,); changed values are sent at once.

        Raises:
            ValueError: no such category or choice.
            RuntimeError: the sender is closed.
        """
        with self._changed:
            if self._closed:
                raise RuntimeError("this OscSender is closed")
            now = self._clock()
            self._send(self._input_state.act(self._action_filter.inputs(action, now), now))
            if self._input_state.due() < inf:
                self._changed.notify()

    def input_state(self) -> dict[str, Value]:
        """Return the value held at every address."""
        with self._changed:
            return self._input_state.values()

    def release_inputs(self) -> None:
        """Send neutral on every address, three times."""
        with self._changed:
            if not self._closed:
                self._action_filter.release_inputs()
                self._send(self._input_state.release_inputs(self._clock()) * _RELEASES)

    def close(self) -> None:
        """Release the inputs, then the socket and the thread. May be called twice."""
        with self._changed:
            if self._closed:
                return
            self.release_inputs()
            self._closed = True
            self._changed.notify()
            self._socket.close()
        atexit.unregister(self.close)
        if threading.current_thread() is not self._releaser:
            self._releaser.join(timeout=1.0)

    def _release(self) -> None:
        with self._changed:
            while not self._closed:
                due = self._input_state.due()
                if due == inf:
                    self._changed.wait()
                elif (wait := due - self._clock()) > 0:
                    self._changed.wait(wait)
                else:
                    self._send(self._input_state.update(self._clock()))

    def _send(self, messages: Messages) -> None:
        for address, value in messages:
            datagram = encode(address, value)
            # A refusal reports the datagram before and drops this one: send it again.
            if not self._try_to_send(datagram):
                self._try_to_send(datagram)

    def _try_to_send(self, datagram: bytes) -> bool:
        try:
            self._socket.send(datagram)
        except OSError as error:
            if self.send_errors == 0:
                print_error(f"OSC message not delivered ({error}): is VRChat running with OSC on?")
            self.send_errors += 1
            return False
        return True
