"""The real-time loop: one tick after another at a fixed rate, whatever the trainer does."""

from __future__ import annotations

import gc
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from agent.clock import Clock
from agent.metrics import LoopMetrics
from agent.pause import Pauses
from agent.worlds.base import World
from pamiq_lightning.exchange.rollouts import RolloutWriter

WEIGHT_CHUNK_BYTES = 2_000_000
"""New weights are copied in chunks of this size, each in a fraction of a ms."""
SLACK = 0.5
"""Share of a period that must be left before the next tick for another chunk, or for garbage."""
MIDDLE_EVERY, OLDEST_EVERY = 16, 512
"""Ticks between two collections of the middle generation of garbage, and of the oldest."""
GAP_S = 0.5
"""A longer stall is a gap: by then the watchdog has released what the last action pressed."""
RELEASE_EVERY_S = 0.5
"""During a pause neutral is sent again this often: the network may have lost it."""


class ActorLike(Protocol):
    """What the loop needs of an actor; see `agent.actor`."""

    def act(self, frame: NDArray[np.uint8]) -> NDArray[np.int64]: ...  # noqa: D102
    def finish_step(self, info: NDArray[np.float32], valid: bool) -> Mapping[str, ArrayLike]: ...  # noqa: D102
    def poll_weights(self, max_bytes: int | None) -> bool: ...  # noqa: D102
    def reset(self) -> None: ...  # noqa: D102


class Loop:
    """Runs ticks on absolute deadlines of a monotonic clock, so that it never drifts.

    Args:
        world: the world that the agent acts in.
        actor: chooses the actions.
        rollouts: where steps are written.
        clock: the real clock or lockstep.
        rate: ticks per second.
        on_rollout: called after a rollout is committed.
        chunk_bytes: how much of the new weights is copied at a time in the slack between ticks;
            None, under lockstep, to have the newest at once.
        pauses: the reasons to pause.
        pack_state: turns the loop's state into the agent state of a checkpoint; called once per
            rollout.
    """

    def __init__(
        self,
        world: World,
        actor: ActorLike,
        rollouts: RolloutWriter,
        clock: Clock,
        rate: float,
        on_rollout: Callable[[], None],
        chunk_bytes: int | None = WEIGHT_CHUNK_BYTES,
        pauses: Pauses | None = None,
        pack_state: Callable[[dict[str, Any]], bytes] = lambda state: b"",
    ) -> None:
        self.world, self.actor, self.rollouts, self.clock = world, actor, rollouts, clock
        self.period = 1 / rate
        self.metrics = LoopMetrics(self.period)
        self.on_rollout, self._chunk_bytes, self._pack_state = on_rollout, chunk_bytes, pack_state
        self.pauses = Pauses() if pauses is None else pauses
        self._index = 0
        self._was_valid = True

    def run(
        self,
        stopped: Callable[[], bool],
        max_ticks: int | None = None,
        max_seconds: float | None = None,
    ) -> None:
        """Run until stopped, or for so many more ticks or seconds, pauses excluded.

        A tick that overruns is followed by at most one at once; the slots that it took are skipped
        and counted as missed.
        """

        def interrupted() -> bool:
            return self.pauses.requested or stopped()

        slots = math.inf if max_seconds is None else max_seconds / self.period
        last_tick = math.inf if max_ticks is None else self.metrics.ticks + max_ticks
        with _no_garbage_collection():
            # Set after the first collection, which takes long.
            first, slot = self.clock.now() + self.period, 0
            while not stopped() and slot < slots and self.metrics.ticks < last_tick:
                # Computed from the slot's number: sums of periods would drift.
                deadline = first + slot * self.period
                self.clock.sleep_until(deadline, interrupted)
                if interrupted():
                    first += self._pause(stopped)
                    continue
                skipped = max(0, math.floor((self.clock.now() - deadline) / self.period + 1e-9))
                slot += skipped
                self.tick(first + slot * self.period, skipped)
                slot += 1
                self._use_slack(first + slot * self.period)

    def tick(self, deadline: float, skipped: int = 0) -> None:
        """Observe, encode, act; then do what can wait: reward, predict, write the step."""
        started = self.clock.now()
        self.metrics.begin(deadline, started, skipped)
        if skipped * self.period > GAP_S:
            self._index += skipped
            self.actor.reset()

        frame, info = self.world.observe()
        valid = self.world.invalid_reason is None
        if valid and not self._was_valid:
            self.actor.reset()
        self._was_valid = valid
        action = self.actor.act(frame)
        self.world.act(action)
        acted = self.clock.now()

        step = dict(self.actor.finish_step(info, valid))
        self.rollouts.write({**step, "index": self._index, "valid": valid, "time": started})
        self._index += 1
        if valid and not step["is_first"]:
            self.metrics.reward.add(float(np.asarray(step["reward"])))
        if self.rollouts.full:
            self._commit_rollout(started, acted)
        self.metrics.end(started, acted, self.clock.now())

    def _commit_rollout(self, started: float, acted: float) -> None:
        """Publish the rollout with its metrics and the agent state."""
        self.metrics.reward.end_rollout()
        state = self.state_dict(started, acted)
        metrics = self.metrics.rollout_metrics(self.clock.now())
        self.rollouts.commit(metrics, self._pack_state(state))
        self.on_rollout()

    def _use_slack(self, deadline: float) -> None:
        """Between two ticks: take new weights chunk by chunk, and collect garbage.

        One chunk is always copied, so that an agent without slack gets new weights too.
        """
        while self.actor.poll_weights(self._chunk_bytes):
            if deadline - self.clock.now() < SLACK * self.period:
                return
        if deadline - self.clock.now() > SLACK * self.period:
            ticks = self.metrics.ticks
            gc.collect(2 if ticks % OLDEST_EVERY == 0 else 1 if ticks % MIDDLE_EVERY == 0 else 0)

    def _pause(self, stopped: Callable[[], bool]) -> float:
        """Keep every input neutral while a pause is requested; return for how long (s).

        The deadlines move by as much, so that no pause makes a tick late. The next row is a first.
        """
        if stopped():
            return 0.0
        began = released = now = self.clock.now()
        self.world.release_inputs()
        self.pauses.confirm(True)
        while self.pauses.requested and not stopped():
            self.pauses.wait()
            before, now = now, self.clock.now()
            self.metrics.exclude_pause(now - before)
            if now - released >= RELEASE_EVERY_S:
                released = now
                self.world.release_inputs()
        self.pauses.confirm(False)
        self.actor.reset()
        return now - began

    def state_dict(self, started: float, acted: float) -> dict[str, Any]:
        """Return the loop's state as plain values, at the end of a tick's work.

        Args:
            started: when the tick began.
            acted: when its action was sent.
        """
        return {
            "index": self._index,
            "was_valid": self._was_valid,
            "metrics": self.metrics.state_dict(started, acted, self.clock.now()),
        }

    def load_state_dict(self, state: Mapping[str, Any], index: int | None = None) -> None:
        """Continue from a `state_dict`.

        Args:
            state: the state.
            index: number of the next tick where time has passed; default: the one that follows.
        """
        self._index = state["index"] if index is None else index
        self._was_valid = index is not None or state["was_valid"]
        self.metrics.load_state_dict(state["metrics"], self.clock.now())


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Keep the collector out of ticks, and what start-up allocated out of the collector."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()
