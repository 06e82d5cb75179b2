"""The life of the agent: one tick after another, at a fixed rate, whatever the trainer does."""

from __future__ import annotations

import gc
import math
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from agent.clock import Clock
from agent.metrics import LoopMetrics
from agent.pause import Pauses
from agent.worlds.base import World
from pamiq_lightning.exchange.rollouts import RolloutWriter

WEIGHT_PIECE_BYTES = 2_000_000
"""New weights are copied in pieces of this size, each a fraction of a ms."""
SLACK = 0.5
"""Share of a period that must be left before the next tick for another piece, or for garbage."""
OLDER_EVERY, OLDEST_EVERY = 16, 512
"""Ticks from one collection of older garbage to the next, and of all."""
GAP_S = 0.5
"""A longer stall is a gap: by then the watchdog has let go of what the last action pressed."""
REST_S = 0.5
"""While it stands still, neutral is said again this often: the net may have lost it."""


class ActorLike(Protocol):
    """What the loop asks of a mind; see `agent.actor`."""

    def act(self, frame: NDArray[np.uint8]) -> NDArray[np.int64]: ...  # noqa: D102
    def finish_step(self, info: NDArray[np.float32], sees: bool) -> Mapping[str, ArrayLike]: ...  # noqa: D102
    def poll_weights(self, max_bytes: int | None) -> bool: ...  # noqa: D102
    def reset(self) -> None: ...  # noqa: D102


class Loop:
    """Runs ticks on absolute deadlines of a monotonic clock, so that it never drifts.

    Args:
        world: where it lives.
        mind: who lives.
        windows: where rows go.
        clock: what paces it.
        rate: ticks per second.
        on_rollout: called when a window was handed over.
        weight_bytes: how much of the new weights is copied at a time in the slack between ticks;
            None, under lockstep, to have the newest at once.
        pauses: the reasons to stand still.
        remember: makes of the loop's own state all that a checkpoint is to have of the agent;
            called once a window.
    """

    def __init__(
        self,
        world: World,
        actor: ActorLike,
        rollouts: RolloutWriter,
        clock: Clock,
        rate: float,
        on_rollout: Callable[[], None],
        weight_bytes: int | None = WEIGHT_PIECE_BYTES,
        pauses: Pauses | None = None,
        remember: Callable[[dict[str, Any]], bytes] = lambda state: b"",
    ) -> None:
        self.world, self.actor, self.rollouts, self.clock = world, actor, rollouts, clock
        self.period = 1 / rate
        self.metrics = LoopMetrics(self.period)
        self._on_rollout, self._weight_bytes, self._remember = on_rollout, weight_bytes, remember
        self.pauses = Pauses() if pauses is None else pauses
        self._index = 0
        self._was_blind = False

    def run(
        self,
        stopped: Callable[[], bool],
        max_ticks: int | None = None,
        max_seconds: float | None = None,
    ) -> None:
        """Live until stopped, or for so many more ticks or seconds, pauses excluded.

        A tick that overruns is followed by at most one at once; the slots that it took are skipped
        and counted as missed.
        """

        def interrupted() -> bool:
            return self.pauses.wanted or stopped()

        slots = math.inf if max_seconds is None else max_seconds / self.period
        last_tick = math.inf if max_ticks is None else self.metrics.ticks + max_ticks
        with _no_garbage_collection():
            # Only now: what start-up left is much to look through.
            first, slot = self.clock.now() + self.period, 0
            while not stopped() and slot < slots and self.metrics.ticks < last_tick:
                # From the slot's number: sums of periods would drift.
                deadline = first + slot * self.period
                self.clock.sleep_until(deadline, interrupted)
                if interrupted():
                    first += self._stand_still(stopped)
                    continue
                skipped = max(0, math.floor((self.clock.now() - deadline) / self.period + 1e-9))
                slot += skipped
                self.tick(first + slot * self.period, skipped)
                slot += 1
                self._use_slack(first + slot * self.period)

    def _stand_still(self, stopped: Callable[[], bool]) -> float:
        """Keep every input neutral while a reason to pause stands; return for how long (s).

        Deadlines move by as much, so that no pause makes a tick late, and the next row is a first.
        """
        if stopped():
            return 0.0
        began = said = now = self.clock.now()
        self.world.release_inputs()
        self.pauses.confirm(True)
        while self.pauses.wanted and not stopped():
            self.pauses.wait()
            before, now = now, self.clock.now()
            self.metrics.stand_still(now - before)
            if now - said >= REST_S:
                said = now
                self.world.release_inputs()
        self.pauses.confirm(False)
        self.actor.reset()
        return now - began

    def tick(self, deadline: float, skipped: int = 0) -> None:
        """Observe, encode, act; then all that can wait: reward, predict, write."""
        started = self.clock.now()
        self.metrics.begin(deadline, started, skipped)
        if skipped * self.period > GAP_S:
            self._index += skipped
            self.actor.reset()
        frame, info = self.world.observe()
        sees = self.world.invalid_reason is None
        if sees and self._was_blind:
            self.actor.reset()
        self._was_blind = not sees
        action = self.actor.act(frame)
        self.world.act(action)
        acted = self.clock.now()

        row = dict(self.actor.finish_step(info, sees), index=self._index, valid=sees, time=started)
        self._index += 1
        self.rollouts.write(row)
        if sees and not row["is_first"]:
            self.metrics.reward.add(float(np.asarray(row["reward"])))
        if self.rollouts.full:
            self.metrics.reward.end_rollout()
            state = self._state(started, acted)
            metrics = self.metrics.rollout_metrics(self.clock.now())
            self.rollouts.commit(metrics, self._remember(state))
            self._on_rollout()
        self.metrics.end(started, acted, self.clock.now())

    def _state(self, started: float, acted: float) -> dict[str, Any]:
        """Return plain values to be restored from, at the end of a tick's work."""
        return {
            "index": self._index,
            "was_blind": self._was_blind,
            "metrics": self.metrics.state(started, acted, self.clock.now()),
        }

    def restore(self, state: Mapping[str, Any], index: int | None = None) -> None:
        """Go on from what `remember` was given.

        Args:
            state: it.
            index: number of the next tick where time has passed; default: the one that follows.
        """
        self._index = state["index"] if index is None else index
        self._was_blind = index is None and state["was_blind"]
        self.metrics.restore(state["metrics"], self.clock.now())

    def _use_slack(self, deadline: float) -> None:
        """Between two ticks: take new weights, piece by piece, and collect garbage.

        One piece in any case, so that an agent with no time to spare gets new weights too.
        """
        while self.actor.poll_weights(self._weight_bytes):
            if deadline - self.clock.now() < SLACK * self.period:
                return
        if deadline - self.clock.now() > SLACK * self.period:
            gc.collect(self._generation())

    def _generation(self) -> int:
        """Return whose turn it is: what outlived a young collection is garbage some day, too.

        Even all of it is little, for nothing that start-up left is looked at.
        """
        ticks = self.metrics.ticks
        return 2 if ticks % OLDEST_EVERY == 0 else 1 if ticks % OLDER_EVERY == 0 else 0


class _no_garbage_collection:  # noqa: N801
    """Keeps the collector out of ticks, and all that start-up left out of the collector."""

    def __enter__(self) -> None:
        gc.collect()
        gc.freeze()
        gc.disable()

    def __exit__(self, *exception: object) -> None:
        gc.enable()
        gc.unfreeze()
