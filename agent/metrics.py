"""The loop's metrics, in constant memory: timing histograms, missed ticks, mean reward."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_PER_DECADE = 200
_LOWEST_MS, _DECADES = 1e-3, 8
_COUNTERS = ("ticks", "missed", "first_deadline", "last_end", "paused_s")
_HISTOGRAM_NAMES = ("tick_ms", "lateness_ms", "latency_ms")


class Histogram:
    """Durations in logarithmic bins of about 1.2 %, so that a run of days fits in a few kB."""

    def __init__(self) -> None:
        self._bins = [0] * (_PER_DECADE * _DECADES + 1)
        self.count = 0
        self.largest = 0.0

    def add(self, milliseconds: float) -> None:
        """Count one duration."""
        scaled = max(milliseconds, _LOWEST_MS) / _LOWEST_MS
        bin_index = min(int(math.log10(scaled) * _PER_DECADE), len(self._bins) - 1)
        self._bins[bin_index] += 1
        self.count += 1
        self.largest = max(self.largest, milliseconds)

    def state_dict(self) -> dict[str, Any]:
        """Return the counts as plain values, without empty bins."""
        bins = {str(index): count for index, count in enumerate(self._bins) if count}
        return {"bins": bins, "largest": self.largest}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue to count from a `state_dict`."""
        for index, count in state["bins"].items():
            self._bins[int(index)] = count
        self.count, self.largest = sum(self._bins), state["largest"]

    def percentile(self, share: float) -> float:
        """Return the duration in ms that `share` (0 to 1) of all do not exceed; NaN if none."""
        wanted, counted = share * self.count, 0
        if not self.count:
            return math.nan
        for index, count in enumerate(self._bins):
            counted += count
            if counted >= wanted and counted:
                upper: float = _LOWEST_MS * 10 ** ((index + 1) / _PER_DECADE)
                return min(upper, self.largest)
        return self.largest

    def summary(self) -> dict[str, float | None]:
        """Return p50, p95, p99 and max in ms."""
        shares = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
        if not self.count:
            return dict.fromkeys((*shares, "max"))
        percentiles = {name: round(self.percentile(share), 3) for name, share in shares.items()}
        return {**percentiles, "max": round(self.largest, 3)}


@dataclass
class RewardRecord:
    """The mean reward: of the whole run, of its first rollout, of its last.

    A reward that is not finite is counted apart: it would make every later mean useless.
    """

    total: float = 0.0
    count: int = 0
    first_rollout: float | None = None
    last_rollout: float | None = None
    not_finite: int = 0
    _rollout: list[float] = field(default_factory=list)

    def add(self, reward: float) -> None:
        """Count one reward."""
        if not math.isfinite(reward):
            self.not_finite += 1
            return
        self.total += reward
        self.count += 1
        self._rollout.append(reward)

    def end_rollout(self) -> None:
        """Take the mean of the rollout that ends."""
        mean = sum(self._rollout) / max(len(self._rollout), 1)
        self.first_rollout = mean if self.first_rollout is None else self.first_rollout
        self.last_rollout = mean
        self._rollout.clear()

    @property
    def mean(self) -> float | None:
        """The mean so far."""
        return self.total / self.count if self.count else None

    def summary(self) -> dict[str, float | None]:
        """Return the three means, and how many rewards were not finite."""
        return {
            "mean": self.mean,
            "first_rollout": self.first_rollout,
            "last_rollout": self.last_rollout,
            "not_finite": self.not_finite,
        }


@dataclass
class LoopMetrics:
    """How well the loop keeps its rate.

    Lateness is a tick's start minus its deadline; a tick is missed when its lateness is above 10 %
    of the period, or its slot was skipped. Pauses count in `paused_s` alone.
    """

    period: float
    ticks: int = 0
    missed: int = 0
    first_deadline: float | None = None
    last_end: float = 0.0
    paused_s: float = 0.0
    tick_ms: Histogram = field(default_factory=Histogram)
    lateness_ms: Histogram = field(default_factory=Histogram)
    latency_ms: Histogram = field(default_factory=Histogram)
    reward: RewardRecord = field(default_factory=RewardRecord)

    def begin(self, deadline: float, now: float, skipped: int) -> None:
        """Count the start of a tick, and the slots skipped before it."""
        if self.first_deadline is None:
            self.first_deadline = deadline
        lateness = max(0.0, now - deadline)
        self.lateness_ms.add(1e3 * lateness)
        self.missed += skipped + int(lateness > 0.1 * self.period)

    def end(self, started: float, acted: float, now: float) -> None:
        """Count the end of a tick; `acted` is when its action was sent."""
        self.ticks += 1
        self.last_end = now
        self.tick_ms.add((now - started) * 1e3)
        self.latency_ms.add((acted - started) * 1e3)

    def state_dict(self, started: float, acted: float, now: float) -> dict[str, Any]:
        """Return the metrics as plain values, within a tick that has begun and not ended.

        Args:
            started: when the tick began.
            acted: when its action was sent.
            now: the present time.
        """
        return {
            **{name: getattr(self, name) for name in _COUNTERS},
            **{name: getattr(self, name).state_dict() for name in _HISTOGRAM_NAMES},
            "reward": dataclasses.asdict(self.reward),
            "open_tick": [started, acted],
            "now": now,
        }

    def load_state_dict(self, state: Mapping[str, Any], now: float) -> None:
        """Continue from a `state_dict`, its open tick included, as if no time had passed."""
        shift = now - state["now"]
        self.ticks, self.missed, self.paused_s = state["ticks"], state["missed"], state["paused_s"]
        self.first_deadline = state["first_deadline"] + shift
        self.last_end = state["last_end"] + shift
        for name in _HISTOGRAM_NAMES:
            getattr(self, name).load_state_dict(state[name])
        self.reward = RewardRecord(**state["reward"])
        started, acted = state["open_tick"]
        self.end(started + shift, acted + shift, now)

    def exclude_pause(self, seconds: float) -> None:
        """Leave a pause out of all times but `paused_s`."""
        self.paused_s += seconds
        if self.first_deadline is not None:
            self.first_deadline += seconds
            self.last_end += seconds

    def rate_hz(self, now: float) -> float:
        """Return ticks per second since the first deadline, pauses excluded."""
        if self.first_deadline is None or now <= self.first_deadline:
            return 0.0
        return self.ticks / (now - self.first_deadline)

    def rollout_metrics(self, now: float) -> dict[str, float]:
        """Return what goes into a rollout's header."""
        return {
            "ticks": self.ticks,
            "rate_hz": self.rate_hz(now),
            "missed_ticks": self.missed,
            "tick_ms_p50": self.tick_ms.percentile(0.5),
            "tick_ms_p99": self.tick_ms.percentile(0.99),
            "latency_ms_p99": self.latency_ms.percentile(0.99),
        }
