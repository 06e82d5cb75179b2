"""A UDP relay between the agent and VRChat that notes every input, and loses some."""

from __future__ import annotations

import math
import random
import socket
import threading
import time
from typing import NamedTuple

from agent.actions import NEUTRAL
from agent.osc.parse import NotOscError, read_message
from agent.osc.ports import bind_udp
from tools.agent_process import wait_until


class Heard(NamedTuple):
    """One input message."""

    time: float
    address: str
    value: float
    delivered: bool


class Relay:
    """Forwards datagrams from its own port to another.

    Args:
        target: UDP port of the client.
        loss: share of the datagrams that is lost.
        doubled: share that is delivered twice.
    """

    def __init__(self, target: int, loss: float = 0.0, doubled: float = 0.0) -> None:
        self.heard: list[Heard] = []
        self._target, self._loss, self._doubled = ("127.0.0.1", target), loss, doubled
        self._random = random.Random(0)
        self._in = bind_udp("127.0.0.1", 0)
        self._in.settimeout(0.2)
        self._out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.port: int = self._in.getsockname()[1]
        self._closed = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._closed:
            try:
                datagram = self._in.recv(65536)
            except TimeoutError:
                continue
            lost = self._random.random() < self._loss
            try:
                address, value = read_message(datagram)
            except NotOscError:
                continue
            if isinstance(value, (int, float)):
                self.heard.append(Heard(time.monotonic(), address, float(value), not lost))
            for _ in range(0 if lost else 1 + (self._random.random() < self._doubled)):
                self._out.sendto(datagram, self._target)

    def moving(self) -> bool:
        """Return whether any input is held now."""
        return any(self.held(len(self.heard)).values())

    def held(self, until: int) -> dict[str, float]:
        """Return every input after the first `until` messages."""
        return dict.fromkeys(NEUTRAL, 0.0) | {h.address: h.value for h in self.heard[:until]}

    def moved(self, since: float, until: float = math.inf) -> list[float]:
        """Return when inputs that are not neutral came between two times (monotonic s)."""
        return [h.time for h in list(self.heard) if since < h.time < until and h.value != 0.0]

    def wait_until_moving(self, limit_s: float, since: float = 0.0) -> float:
        """Return when the first input after `since` was not neutral (monotonic s).

        Raises:
            TimeoutError: none within the limit.
        """
        if not wait_until(lambda: self.moved(since), limit_s, 0.005):
            raise TimeoutError(f"nothing was moved for {limit_s:.0f} s")
        return self.moved(since)[0]

    def wait_until_neutral(self, since: float, limit_s: float) -> float | None:
        """Return when every address had been set neutral after `since`; None if not in time."""
        wait_until(lambda: self.neutral_at(since) is not None, limit_s, 0.005)
        return self.neutral_at(since)

    def neutral_at(self, since: float) -> float | None:
        """Return when every address had been set neutral, each after `since`, at one time."""
        neutral: set[str] = set()
        for heard in list(self.heard):
            if heard.time < since:
                continue
            if heard.value == 0.0:
                neutral.add(heard.address)
            else:
                neutral.clear()
            if len(neutral) == len(NEUTRAL):
                return heard.time
        return None

    def close(self) -> None:
        """Stop."""
        self._closed = True
        self._thread.join()
        self._in.close()
        self._out.close()
