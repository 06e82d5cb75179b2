"""Whether the avatar does what it is told: pure logic on a given clock."""

from __future__ import annotations

from math import isnan

MOVING = 0.1
"""Metres per second above which the avatar moves, and below half of which it stands."""
STUCK_S = 5.0
"""Told to walk for this long without moving: stuck."""
DRIFT_S = 2.0
"""Moving for this long without having been told to: something else moves it."""


class StuckCheck:
    """Compares what is commanded with the speed VRChat reports.

    Attributes:
        strange: what is wrong, in words; None when motion and command agree or nothing is known.
        stuck_count: how often the avatar got stuck.
        drift_count: how often it moved untold.
    """

    def __init__(self) -> None:
        self.strange: str | None = None
        self.stuck_count = 0
        self.drift_count = 0
        self._before: float | None = None
        self._pushing_s = 0.0
        self._drifting_s = 0.0

    def watch(self, walking: bool, speed: float, now: float) -> str | None:
        """Take note of one tick and return what is strange about the motion, or None.

        Args:
            walking: whether the avatar is told to walk, forward, backward or sideways.
            speed: metres per second as VRChat reports it; NaN while unknown.
            now: monotonic seconds.
        """
        elapsed = 0.0 if self._before is None else now - self._before
        self._before = now
        if isnan(speed):
            self._pushing_s = self._drifting_s = 0.0
        elif walking:
            # Only time spent pushing counts: a body that rests now and then is stuck all the same.
            self._pushing_s = 0.0 if speed > MOVING / 2 else self._pushing_s + elapsed
            self._drifting_s = 0.0
        else:
            self._pushing_s = 0.0 if speed > MOVING / 2 else self._pushing_s
            self._drifting_s = self._drifting_s + elapsed if speed > MOVING else 0.0
        self._conclude()
        return self.strange

    def release_inputs(self) -> None:
        """Forget the past, after a pause."""
        self._before, self.strange = None, None
        self._pushing_s = self._drifting_s = 0.0

    def _conclude(self) -> None:
        before = self.strange
        if self._pushing_s >= STUCK_S:
            self.strange = (
                f"commanded but not moving for {STUCK_S:.0f} s (stuck, or a menu is open)"
            )
            self.stuck_count += before != self.strange
        elif self._drifting_s >= DRIFT_S:
            self.strange = f"moving but not commanded for {DRIFT_S:.0f} s (carried, or falling)"
            self.drift_count += before != self.strange
        else:
            self.strange = None
