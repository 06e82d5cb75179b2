"""Whether what the eyes bring can be believed: pure logic on a given clock.

A picture can be wrong without any error: a hung client shows its last frame for ever, a lock screen
or a teleport is black. The trouble is that a sound picture may look the same, an avatar that faces
a bare wall for instance. So whatever is judged by content alone is doubted again from time to time:
the body may move for a moment (`may_act`), and a picture that then changes is believed again.
"""

from __future__ import annotations

from collections import Counter, deque
from itertools import groupby
from math import inf
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

MOVING_S = 1.5
"""How long the body must have been told to move before a still picture is suspicious."""
FEWEST = 8
"""... and how many pictures must have been seen meanwhile."""
SLOW = 0.35
"""Below this share of new pictures among those seen while moving, the capture is slow."""
ONE_STOP = 0.65
"""A single run of repeats longer than this share is a body that stood against a wall, not slow."""
FRESH_S = 1.0
"""A slow capture that brings a new picture at every look for this long is sound again."""
LOOKS = 3
"""How many looks in a row must take longer than a tick to be called slow."""
DARK = 8
"""A picture with no value above this (of 255) is black."""
FLAT = 2
"""A picture whose channels each span no more than this is one constant colour."""
BLANK_S = 0.5
"""How long a picture must be black or constant: shorter is a blink."""
SETTLED_S = 0.5
"""How long a window that changes its size must keep the new one."""
PROBE_S = 1.0
"""How long the body may move to find out whether a picture is still wrong."""
FIRST_PROBE_S = 5.0
LAST_PROBE_S = 60.0
"""Times between such attempts: the first, doubling up to the last."""


class FrameFault(NamedTuple):
    """Why a picture must not be believed."""

    kind: str
    """lost, size, resized, black, constant, frozen or slow."""
    detail: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.detail}"


class FrameCheck:
    """Judges one picture after another.

    Args:
        shape: of a sound frame.
        rate_hz: pictures looked at a second.

    Attributes:
        doubt: why the last picture must not be believed; None when it may.
        may_act: whether the body may move: the picture is sound, or it is time for an attempt.
        counts: how many pictures were refused for each kind of doubt.
    """

    def __init__(self, shape: tuple[int, int, int], rate_hz: float) -> None:
        self.fault: FrameFault | None = None
        self.may_act = True
        self.counts: Counter[str] = Counter()
        self._shape = shape
        self._period = 1.0 / rate_hz
        self._evidence_s = max(MOVING_S, FEWEST * self._period)
        self._before: NDArray[np.uint8] | None = None
        self._looked_at = 0.0
        self._moving: deque[tuple[float, bool]] = deque()  # Seconds, and whether it was new.
        self._repeated_at = 0.0
        self._took: deque[float] = deque(maxlen=LOOKS)
        self._blank_since: float | None = None
        self._area: tuple[int, int] | None = None
        self._resized_at = -inf
        self._probe_at = 0.0
        self._probe_gap = FIRST_PROBE_S

    def judge(
        self,
        frame: NDArray[np.uint8],
        moving: bool,
        now: float,
        took: float = 0.0,
        area: tuple[int, int] | None = None,
    ) -> FrameFault | None:
        """Look at one frame (3, H, W) and return why it must not be believed, or None.

        Args:
            frame: the picture.
            moving: whether the body has been told to move since the picture before.
            now: monotonic seconds.
            took: seconds it took to get the picture.
            area: width and height of what was captured, where it can change.
        """
        if frame.shape != self._shape or frame.dtype != np.uint8:
            return self._lose(FrameFault("size", f"{frame.shape} instead of {self._shape}"), now)
        new = self._before is None or not np.array_equal(frame, self._before)
        self._remember(new, moving, now, took)
        self._before, self._looked_at = frame, now
        fault = self._size(area, now) or self._blank(frame, now) or self._stuck_check(new, now)
        self._settle(fault, now)
        return fault

    def lost(self, detail: str, now: float) -> FrameFault:
        """Take note that there is no picture at all, and return that as the doubt."""
        return self._lose(FrameFault("lost", detail), now)

    def _lose(self, fault: FrameFault, now: float) -> FrameFault:
        self._before, self._blank_since = None, None
        self._moving.clear()
        self._settle(fault, now)
        self.may_act = False
        return fault

    def _remember(self, new: bool, moving: bool, now: float, took: float) -> None:
        self._took.append(took)
        if not new:
            self._repeated_at = now
        if not moving or self._before is None:
            return
        self._moving.append((now - self._looked_at, new))
        while len(self._moving) > FEWEST and self._moved() - self._moving[0][0] >= MOVING_S:
            self._moving.popleft()

    def _moved(self) -> float:
        return sum(seconds for seconds, _ in self._moving)

    def _size(self, area: tuple[int, int] | None, now: float) -> FrameFault | None:
        if self._area is not None and area != self._area:
            self._resized_at = now
        self._area = area
        if now - self._resized_at >= SETTLED_S:
            return None
        return FrameFault("resized", "the window changed its size")

    def _blank(self, frame: NDArray[np.uint8], now: float) -> FrameFault | None:
        pixels = frame.reshape(frame.shape[0], -1)
        brightest = int(pixels.max())
        if brightest > DARK and np.ptp(pixels, axis=1).max() > FLAT:
            self._blank_since = None
            return None
        if self._blank_since is None:
            self._blank_since = now
        if now - self._blank_since < BLANK_S:
            return None
        if brightest <= DARK:
            return FrameFault(
                "black", "nothing is lit (a load screen, or another program's window)"
            )
        return FrameFault("constant", "the picture is one colour")

    def _stuck_check(self, new: bool, now: float) -> FrameFault | None:
        if len(self._took) == LOOKS and min(self._took) > self._period:
            return FrameFault("slow", f"a look takes {min(self._took):.2f} s")
        kind = self.fault.kind if self.fault is not None else None
        if kind == "frozen":
            return None if new else self.fault
        if kind == "slow" and now - self._repeated_at >= FRESH_S:
            return None
        seconds = self._moved()
        if seconds < self._evidence_s - self._period / 2 or len(self._moving) < FEWEST:
            return self.fault if kind == "slow" else None
        fresh = sum(new for _, new in self._moving)
        if fresh == 0:
            return FrameFault("frozen", "the picture does not change although the body moves")
        if new and fresh < SLOW * len(self._moving) and self._longest_repeat() <= ONE_STOP:
            return FrameFault("slow", f"{fresh / seconds:.1f} new pictures a second")
        return self.fault if kind == "slow" and not new else None

    def _longest_repeat(self) -> float:
        """Return the longest run of repeated pictures, as a share of all seen while moving."""
        runs = groupby(new for _, new in self._moving)
        return max((len(list(run)) for new, run in runs if not new), default=0) / len(self._moving)

    def _settle(self, fault: FrameFault | None, now: float) -> None:
        before, self.fault = self.fault, fault
        if fault is None:
            self.may_act = True
            if before is not None:
                self._moving.clear()
            return
        self.counts[fault.kind] += 1
        if before is None or before.kind != fault.kind:
            self._probe_gap = FIRST_PROBE_S
            self._probe_at = now + self._probe_gap
        elif now >= self._probe_at + PROBE_S:
            self._probe_gap = min(2.0 * self._probe_gap, LAST_PROBE_S)
            self._probe_at = now + self._probe_gap
        self.may_act = now >= self._probe_at
