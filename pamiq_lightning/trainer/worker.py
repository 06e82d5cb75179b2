"""One learner as the loop sees it: what waits for it, what it has done, and its way out."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from tensordict import TensorDict

from pamiq_lightning.exchange.rollouts import SLOTS, Rollout
from pamiq_lightning.exchange.weights import WeightsWriter
from pamiq_lightning.learners.base import Learner
from pamiq_lightning.replay.base import ReplayBuffer, training_round
from pamiq_lightning.replay.factory import make_replay
from pamiq_lightning.trainer.run_log import RunLog
from pamiq_lightning.trainer.settings import LearnerSettings
from pamiq_lightning.trainer.update import Updater


class LearnerWorker:
    """One learner with its driver, its memory, its way out, and a count of what it has done.

    Attributes:
        pending: windows it has not been trained on yet, the oldest first.
        windows: how many it has been trained on.
        dropped: how many were dropped because more than a ring of them waited.
        seconds: spent on training rounds.
        idle_updates: updates made while no window waited; they are among the driver's `batches`.
        idle_seconds: spent on those.

    Args:
        role: its key in settings, logs and board.
        learner: the module.
        driver: what trains it.
        writer: where its acting module is published, or None if nothing of it acts.
        settings: freeze and time budget.
        replay: its memory; default: one without files.
    """

    def __init__(
        self,
        role: str,
        learner: Learner,
        updater: Updater,
        writer: WeightsWriter | None,
        settings: LearnerSettings,
        replay: ReplayBuffer | None = None,
    ) -> None:
        self.role, self.learner, self.updater, self.writer = role, learner, updater, writer
        self.settings = settings
        self.replay = make_replay(learner.replay) if replay is None else replay
        self.pending: list[Rollout] = []
        self.rollouts = self.dropped = self.idle_updates = 0
        self.seconds = self.idle_seconds = 0.0
        self.loss = float("nan")
        self._rehearsal: Iterator[TensorDict] = iter(())
        self._rehearsals_left = 0

    def restore_counters(self, metrics: Mapping[str, float]) -> None:
        """Count on from what a trainer before this one had done."""
        self.rollouts, self.seconds = int(metrics["rollouts"]), metrics["seconds"]
        self.updater.batches, self.loss = int(metrics["updates"]), metrics["loss"]
        self.idle_updates = int(metrics["idle_updates"])
        self.updater.skipped = int(metrics["skipped"])
        self.updater.rollbacks = int(metrics["rollbacks"])

    def enqueue(self, rollout: Rollout) -> None:
        """Let a new window wait for its next round."""
        if self.settings.freeze:
            return
        self.pending.append(rollout)
        if len(self.pending) > SLOTS:
            self.pending.pop(0)
            self.dropped += 1

    def train(self, log: RunLog, stop: Callable[[], bool]) -> None:
        """Make one round on all windows that wait, then publish.

        Args:
            log: takes the figures of every update.
            stop: asked after every update.
        """
        started = time.monotonic()
        rollouts, self.pending = self.pending, []
        # What it would have drawn from may be overwritten now.
        self._rehearsal, self._rehearsals_left = iter(()), 0
        steps = [as_tensors(rollout) for rollout in rollouts]
        for batch in training_round(self.learner, self.replay, steps):
            self._update(batch, log)
            if stop() or self._over_budget(started):
                break
        # A round without a batch has still told something of its windows.
        log.metrics(self.role, self.updater.batches, self.updater.metrics.take())
        self.rollouts += len(rollouts)
        self.publish()
        self.seconds += time.monotonic() - started

    def replay_update(self, log: RunLog, ratio: float) -> bool:
        """Make one update from memory, while nothing new waits; return whether it could.

        What comes of it is published with the next round, so that a version stays a window's.

        Args:
            log: takes the figures of the last update of every round's worth.
            ratio: updates from memory for each one made on new windows, at most.
        """
        lived = self.updater.batches - self.idle_updates
        if self.settings.freeze or self.idle_updates + 1 > ratio * lived:
            return False
        batch = next(self._rehearsal, None)
        if batch is None:
            log.metrics(self.role, self.updater.batches, self.updater.metrics.take())
            self._rehearsal = self.replay.batches(self.learner)
            self._rehearsals_left = self.learner.replay.updates
            batch = next(self._rehearsal, None)
        if batch is None:
            return False
        self._rehearsals_left -= 1
        started, before = time.monotonic(), self.updater.batches
        self.loss = self.updater.update(batch)
        made = self.updater.batches - before
        self.idle_updates += made
        self.idle_seconds += time.monotonic() - started
        # An update that had to be left out must not be tried for ever.
        return made > 0

    def _update(self, batch: TensorDict, log: RunLog) -> None:
        self.loss = self.updater.update(batch)
        log.metrics(self.role, self.updater.batches, self.updater.metrics.take())

    def _over_budget(self, started: float) -> bool:
        budget = self.settings.round_limit_s
        return budget is not None and time.monotonic() - started > budget

    def publish(self) -> None:
        """Let the agent have the present weights, unless some are not finite; then go back."""
        if self.rollback_if_nonfinite():
            return
        self.updater.snapshot()
        if self.writer:
            self.learner.latest_version = self.writer.publish()

    def rollback_if_nonfinite(self) -> bool:
        """Go back to the last good state if some weights are not finite; return whether it did."""
        if all(bool(torch.isfinite(t).all()) for t in self.learner.state_dict().values()):
            return False
        self.updater.roll_back()
        return True

    def state(self) -> dict[str, Any]:
        """Return all of it but the weights, the rows and the windows that wait.

        Between two updates of a round it is as if the round ended here.
        """
        learner: dict[str, Any] = {}
        # Lightning's own hook: learners keep there what is no parameter and no buffer.
        self.learner.on_save_checkpoint(learner)
        return {
            "updater": self.updater.state(),
            "learner": learner,
            "version": self.learner.latest_version,
            "replay": self.replay.state_dict(),
            "rehearsals_left": self._rehearsals_left,
            "dropped": self.dropped,
            "idle_seconds": self.idle_seconds,
            "metrics": self.metrics(),
        }

    def restore(self, state: dict[str, Any]) -> str | None:
        """Go on from `state`; the weights that belong to it must be loaded already.

        Returns:
            What of the memory is lost, in words, or None.

        Raises:
            KeyError, ValueError: it is the state of another learner.
        """
        self.updater.restore(state["updater"])
        self.learner.on_load_checkpoint(state["learner"])
        self.learner.latest_version = state["version"]
        lost = self.replay.load_state_dict(state["replay"])
        self.restore_counters(state["metrics"])
        self.dropped, self.idle_seconds = state["dropped"], state["idle_seconds"]
        left = self._rehearsals_left = state["rehearsals_left"]
        self._rehearsal = itertools.islice(self.replay.batches(self.learner), left)
        return lost

    def metrics(self) -> dict[str, float]:
        """Return what the board shows of it."""
        return {
            "rollouts": self.rollouts,
            "updates": self.updater.batches,
            "idle_updates": self.idle_updates,
            "skipped": self.updater.skipped,
            "rollbacks": self.updater.rollbacks,
            "seconds": self.seconds,
            "loss": self.loss,
            "version": self.learner.latest_version,
        }


def as_tensors(rollout: Rollout) -> TensorDict:
    """Return a window's steps as a TensorDict [N] over the same memory."""
    rows = {key: torch.from_numpy(array) for key, array in rollout.steps.items()}
    return TensorDict(rows, [len(rollout.steps["index"])])
