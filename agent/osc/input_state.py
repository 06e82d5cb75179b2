"""Which input values are held and when they are sent: pure logic on a given clock.

VRChat latches the last value of every input and reads OSC once per rendered frame. Therefore:

- a changed value is sent at once; every value is sent again after `REPEAT_S`, as UDP loses some;
- a *button press* (jump) lasts `PRESS_S` and ends without waiting for the next action. The button
  stays released for `RELEASE_S` before the next press, so each edge falls into some rendered
  frame. Each action that chooses it is one press; at most one press waits for the release;
- after `FORGET_S` without an action the values held by VRChat are unknown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import inf

Value = float | int
Messages = list[tuple[str, Value]]

REPEAT_S = 0.5
"""Seconds after which every value is sent again."""
PRESS_S = 0.05
"""Length of a button press. VRChat needs 33 to 50 ms to notice one."""
RELEASE_S = 0.04
"""How long a button stays released before the next press."""
FORGET_S = 0.4
"""After a longer gap all is sent again: the watchdog (0.5 s) may have released all inputs."""


class ButtonPress:
    """One button that is pressed and released once for every time it is chosen."""

    def __init__(self) -> None:
        self.value = 0
        self._until = -inf  # The present value stays at least until then.
        self._waiting = False

    def choose(self) -> None:
        """Request one press, now or when the press before it is over."""
        self._waiting = True

    def release(self, now: float) -> None:
        """Release at once and drop a waiting press."""
        self.value, self._until, self._waiting = 0, now + RELEASE_S, False

    def due(self) -> float:
        """Return when this button changes next without an action (s); inf if it does not."""
        return self._until if self.value or self._waiting else inf

    def update(self, now: float) -> None:
        """Press or release as due at `now` (s)."""
        if self.value and now >= self._until:
            self.value, self._until = 0, now + RELEASE_S
        elif self._waiting and not self.value and now >= self._until:
            self.value, self._until, self._waiting = 1, now + PRESS_S, False


class InputState:
    """The input values held, and the messages that keep VRChat at them.

    Args:
        neutral: the neutral value of every address, in the order of the messages.
        buttons: addresses that are pressed once per action that chooses them.
    """

    def __init__(self, neutral: Mapping[str, Value], buttons: Iterable[str]) -> None:
        self._neutral = dict(neutral)
        self._values = dict(neutral)
        self._presses = {address: ButtonPress() for address in buttons}
        self._sent: dict[str, Value] = {}
        self._last_action = -inf
        self._last_all = -inf

    def act(self, inputs: Mapping[str, Value], now: float) -> Messages:
        """Hold `inputs` from `now` (s) on; return the messages to send."""
        if now - self._last_action > FORGET_S or now - self._last_all >= REPEAT_S:
            self._sent.clear()
            self._last_all = now
        self._last_action = now
        for address, value in inputs.items():
            if address not in self._presses:
                self._values[address] = value
            elif value:
                self._presses[address].choose()
        return self.update(now)

    def update(self, now: float) -> Messages:
        """Return the messages due at `now` (s): presses and releases."""
        for address, press in self._presses.items():
            press.update(now)
            self._values[address] = press.value
        changed = [(a, v) for a, v in self._values.items() if self._sent.get(a) != v]
        self._sent.update(changed)
        return changed

    def release_inputs(self, now: float) -> Messages:
        """Release every input; return the neutral message of every address."""
        for press in self._presses.values():
            press.release(now)
        self._values.update(self._neutral)
        self._sent.clear()
        self._last_action = -inf
        return list(self._neutral.items())

    def values(self) -> dict[str, Value]:
        """Return every address and the value it holds."""
        return dict(self._values)

    def due(self) -> float:
        """Return when `update` must be called next (s); inf if nothing is due."""
        return min((press.due() for press in self._presses.values()), default=inf)
