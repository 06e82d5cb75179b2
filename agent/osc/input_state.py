"""What VRChat must be told, and when: the inputs that are held, as pure logic on a given clock.

VRChat latches the last value of every input for ever, and reads OSC once per rendered frame. Hence:

- a changed value is due at once; every value is due again after `REPEAT_S`, because UDP loses some;
- a *tap* (jump) is pressed for `PRESS_S` and then released without waiting for the next action, and
  stays released for `RELEASE_S` before it is pressed again. Each action that chooses it is one
  press, so two in a row jump twice, each edge long enough to be seen in some rendered frame. One
  that comes too early is pressed as soon as the release is over; at most one waits;
- after `FORGET_S` without an action nothing is known any more about what VRChat holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import inf

Value = float | int
Messages = list[tuple[str, Value]]

REPEAT_S = 0.5
"""Everything held is sent again this often."""
PRESS_S = 0.05
"""How long a tap is held. VRChat needs 33 to 50 ms to notice one."""
RELEASE_S = 0.04
"""How long a tap stays released before the next press."""
FORGET_S = 0.4
"""A longer gap forgets what was sent: the watchdog, which waits 0.5 s, may have let go of all."""


class ButtonPress:
    """One button that is pressed and let go again, once for every time it is chosen."""

    def __init__(self) -> None:
        self.value = 0
        self._until = -inf  # The present value is kept at least until then.
        self._waiting = False

    def choose(self) -> None:
        """Ask for one press, now or as soon as the press before it is over."""
        self._waiting = True

    def let_go(self, now: float) -> None:
        """Release at once and drop a waiting press; the next waits until the release was seen."""
        self.value, self._until, self._waiting = 0, now + RELEASE_S, False

    def due(self) -> float:
        """Return when this button changes by itself next (s); inf if it does not."""
        return self._until if self.value or self._waiting else inf

    def update(self, now: float) -> None:
        """Press or release, whichever is due at `now` (s)."""
        if self.value and now >= self._until:
            self.value, self._until = 0, now + RELEASE_S
        elif self._waiting and not self.value and now >= self._until:
            self.value, self._until, self._waiting = 1, now + PRESS_S, False


class InputState:
    """The inputs held at VRChat and the messages that keep them true.

    Args:
        neutral: every address and its value at rest; also the order of the messages.
        taps: which of them are pressed once per action that chooses them.
    """

    def __init__(self, neutral: Mapping[str, Value], taps: Iterable[str]) -> None:
        self._neutral = dict(neutral)
        self._input_state = dict(neutral)
        self._taps = {address: ButtonPress() for address in taps}
        self._sent: dict[str, Value] = {}
        self._last_action = -inf
        self._last_all = -inf

    def act(self, inputs: Mapping[str, Value], now: float) -> Messages:
        """Hold `inputs` from `now` (s) on and return what must be sent for it."""
        if now - self._last_action > FORGET_S or now - self._last_all >= REPEAT_S:
            self._sent.clear()
            self._last_all = now
        self._last_action = now
        for address, value in inputs.items():
            if address not in self._taps:
                self._input_state[address] = value
            elif value:
                self._taps[address].choose()
        return self.update(now)

    def update(self, now: float) -> Messages:
        """Return what must be sent at `now` (s): due presses and releases."""
        for address, tap in self._taps.items():
            tap.update(now)
            self._input_state[address] = tap.value
        changed = [(a, v) for a, v in self._input_state.items() if self._sent.get(a) != v]
        self._sent.update(changed)
        return changed

    def rest(self, now: float) -> Messages:
        """Let go of everything, forget what was sent, and return neutral for every address."""
        for tap in self._taps.values():
            tap.let_go(now)
        self._input_state.update(self._neutral)
        self._sent.clear()
        self._last_action = -inf
        return list(self._neutral.items())

    def values(self) -> dict[str, Value]:
        """Return every address and the value it holds."""
        return dict(self._input_state)

    def due(self) -> float:
        """Return when `update` must be called next (s); inf if nothing changes by itself."""
        return min((tap.due() for tap in self._taps.values()), default=inf)
