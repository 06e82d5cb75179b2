"""Checks whether captured frames are valid: pure logic on a given clock.

A frame can be wrong without any error: a hung client repeats its last frame, a lock screen or a
teleport is black. A valid frame may look the same, such as an avatar facing a bare wall. So a fault
found by content alone is probed from time to time: the avatar may act briefly (`may_act`), and a
frame that then changes is valid again.
"""

from __future__ import annotations

from collections import Counter, deque
from itertools import groupby
from math import inf
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

MOVING_S = 1.5
"""Commanded motion (s) after which an unchanged frame is a fault."""
FEWEST = 8
"""Frames needed meanwhile."""
SLOW = 0.35
"""Below this share of new frames while moving, the capture is slow."""
ONE_STOP = 0.65
"""A single run of repeats longer than this share is an avatar at a wall, not a slow capture."""
FRESH_S = 1.0
"""A slow capture is valid again after new frames only for this long (s)."""
SLOW_CAPTURES = 3
"""Captures in a row that take longer than a tick: slow."""
DARK = 8
"""A frame with no value above this (of 255) is black."""
FLAT = 2
"""A frame whose channels each span no more than this is of constant colour."""
BLANK_S = 0.5
"""How long (s) a frame must be black or constant."""
SETTLED_S = 0.5
"""How long (s) a resized window must keep its new size."""
PROBE_S = 1.0
"""How long (s) the avatar may act to probe a fault."""
FIRST_PROBE_S = 5.0
LAST_PROBE_S = 60.0
"""Seconds between two probes: the first, doubling up to the last."""


class FrameFault(NamedTuple):
    """Why a frame is not valid."""

    kind: str
    """lost, size, resized, black, constant, frozen or slow."""
    detail: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.detail}"


class FrameCheck:
    """Checks one frame after another.

    Args:
        shape: of a valid frame.
        rate_hz: frames a second.

    Attributes:
        fault: why the last frame is not valid; None when it is.
        may_act: whether the avatar may act: the frame is valid, or a probe is due.
        counts: number of invalid frames by kind of fault.
    """

    def __init__(self, shape: tuple[int, int, int], rate_hz: float) -> None:
        self.fault: FrameFault | None = None
        self.may_act = True
        self.counts: Counter[str] = Counter()
        self._shape = shape
        self._period = 1.0 / rate_hz
        self._evidence_s = max(MOVING_S, FEWEST * self._period)
        self._before: NDArray[np.uint8] | None = None
        self._checked_at = 0.0
        self._moving: deque[tuple[float, bool]] = deque()  # Seconds, and whether it was new.
        self._repeated_at = 0.0
        self._took: deque[float] = deque(maxlen=SLOW_CAPTURES)
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
        """Check one frame (3, H, W); return its fault, or None.

        Args:
            frame: the frame.
            moving: whether motion has been commanded since the frame before.
            now: monotonic seconds.
            took: seconds that the capture took.
            area: width and height (pixels) of the captured area, where it can change.
        """
        if frame.shape != self._shape or frame.dtype != np.uint8:
            return self._lose(FrameFault("size", f"{frame.shape} instead of {self._shape}"), now)
        new = self._before is None or not np.array_equal(frame, self._before)
        self._remember(new, moving, now, took)
        self._before, self._checked_at = frame, now
        fault = self._size(area, now) or self._blank(frame, now) or self._repeated(new, now)
        self._settle(fault, now)
        return fault

    def lost(self, detail: str, now: float) -> FrameFault:
        """Record that there is no frame; return that fault."""
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
        self._moving.append((now - self._checked_at, new))
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
        return FrameFault("constant", "the frame is of one colour")

    def _repeated(self, new: bool, now: float) -> FrameFault | None:
        if len(self._took) == SLOW_CAPTURES and min(self._took) > self._period:
            return FrameFault("slow", f"a capture takes {min(self._took):.2f} s")
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
            return FrameFault("frozen", "the frame does not change although the avatar moves")
        if new and fresh < SLOW * len(self._moving) and self._longest_repeat() <= ONE_STOP:
            return FrameFault("slow", f"{fresh / seconds:.1f} new frames a second")
        return self.fault if kind == "slow" and not new else None

    def _longest_repeat(self) -> float:
        """Return the longest run of repeated frames, as a share of all frames while moving."""
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
