"""Compares the avatar's commands with its reported speed: pure logic on a given clock."""

from __future__ import annotations

from math import isnan

MOVING = 0.1
"""Speed (m/s) above which the avatar moves; below half of it, it stands."""
STUCK_S = 5.0
"""Commanded to walk for this long (s) without moving: stuck."""
DRIFT_S = 2.0
"""Moving for this long (s) without a command: drifting."""


class StuckCheck:
    """Compares what is commanded with the speed VRChat reports.

    Attributes:
        problem: what is wrong, in words; None while motion and command agree or nothing is known.
        stuck_count: how often the avatar got stuck.
        drift_count: how often it moved without a command.
    """

    def __init__(self) -> None:
        self.problem: str | None = None
        self.stuck_count = 0
        self.drift_count = 0
        self._before: float | None = None
        self._pushing_s = 0.0
        self._drifting_s = 0.0

    def watch(self, walking: bool, speed: float, now: float) -> str | None:
        """Check one tick; return the problem, or None.

        Args:
            walking: whether walking is commanded: forward, backward or sideways.
            speed: metres per second as VRChat reports it; NaN while unknown.
            now: monotonic seconds.
        """
        elapsed = 0.0 if self._before is None else now - self._before
        self._before = now
        if isnan(speed):
            self._pushing_s = self._drifting_s = 0.0
        elif walking:
            # Only commanded time counts: an avatar that pauses now and then is stuck too.
            self._pushing_s = 0.0 if speed > MOVING / 2 else self._pushing_s + elapsed
            self._drifting_s = 0.0
        else:
            self._pushing_s = 0.0 if speed > MOVING / 2 else self._pushing_s
            self._drifting_s = self._drifting_s + elapsed if speed > MOVING else 0.0
        self._update_problem()
        return self.problem

    def reset(self) -> None:
        """Reset, after a pause."""
        self._before, self.problem = None, None
        self._pushing_s = self._drifting_s = 0.0

    def _update_problem(self) -> None:
        before = self.problem
        if self._pushing_s >= STUCK_S:
            self.problem = (
                f"commanded but not moving for {STUCK_S:.0f} s (stuck, or a menu is open)"
            )
            self.stuck_count += before != self.problem
        elif self._drifting_s >= DRIFT_S:
            self.problem = f"moving but not commanded for {DRIFT_S:.0f} s (carried, or falling)"
            self.drift_count += before != self.problem
        else:
            self.problem = None
