"""The training of one learner: its pending rollouts, its updates, and its published weights."""

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
    """Trains one learner on rollouts and from replay, and publishes its acting module.

    Attributes:
        pending: rollouts not trained on yet, the oldest first.
        rollouts: number of rollouts trained on.
        dropped: rollouts dropped because more than a ring of them was pending.
        seconds: spent on training rounds.
        replay_updates: updates from replay while no rollout was pending; they count among the
            updater's `batches` too.
        replay_seconds: spent on those.

    Args:
        role: its key in settings, logs and on the status board.
        learner: the module.
        updater: makes its updates.
        writer: publishes its acting module; None if it has none.
        settings: freeze and round limit.
        replay: its replay buffer; default: one without files.
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
        self.rollouts = self.dropped = self.replay_updates = 0
        self.seconds = self.replay_seconds = 0.0
        self.loss = float("nan")
        self._replay_batches: Iterator[TensorDict] = iter(())
        self._replay_batches_left = 0

    def restore_counters(self, metrics: Mapping[str, float]) -> None:
        """Continue the counts of an earlier trainer from the metrics it showed on the board."""
        self.rollouts, self.seconds = int(metrics["rollouts"]), metrics["seconds"]
        self.updater.batches, self.loss = int(metrics["updates"]), metrics["loss"]
        self.replay_updates = int(metrics["replay_updates"])
        self.updater.skipped = int(metrics["skipped"])
        self.updater.rollbacks = int(metrics["rollbacks"])

    def enqueue(self, rollout: Rollout) -> None:
        """Add a new rollout for the next round; drop the oldest if too many are pending."""
        if self.settings.freeze:
            return
        self.pending.append(rollout)
        if len(self.pending) > SLOTS:
            self.pending.pop(0)
            self.dropped += 1

    def train(self, log: RunLog, stop: Callable[[], bool]) -> None:
        """Train one round on all pending rollouts, then publish.

        Args:
            log: takes the metrics of every update.
            stop: called after every update; True ends the round.
        """
        started = time.monotonic()
        rollouts, self.pending = self.pending, []
        # The rows that its batches would be sampled from may be overwritten now.
        self._replay_batches, self._replay_batches_left = iter(()), 0
        steps = [rollout.to_tensordict() for rollout in rollouts]
        for batch in training_round(self.learner, self.replay, steps):
            self.loss = self.updater.update(batch)
            self._log_metrics(log)
            if stop() or self._over_limit(started):
                break
        # A round without a batch may have logged metrics of its rollouts.
        self._log_metrics(log)
        self.rollouts += len(rollouts)
        self.publish()
        self.seconds += time.monotonic() - started

    def replay_update(self, log: RunLog, ratio: float) -> bool:
        """Make one update from replay; return whether one was allowed and made.

        The result is published with the next round, so one version belongs to one round.

        Args:
            log: takes the metrics of the last update of each pass of `updates` batches.
            ratio: highest number of replay updates per update made in rounds.
        """
        round_updates = self.updater.batches - self.replay_updates
        if self.settings.freeze or self.replay_updates + 1 > ratio * round_updates:
            return False
        batch = next(self._replay_batches, None)
        if batch is None:
            self._log_metrics(log)
            self._replay_batches = self.replay.batches(self.learner)
            self._replay_batches_left = self.learner.replay.updates
            batch = next(self._replay_batches, None)
        if batch is None:
            return False
        self._replay_batches_left -= 1
        started, before = time.monotonic(), self.updater.batches
        self.loss = self.updater.update(batch)
        made = self.updater.batches - before
        self.replay_updates += made
        self.replay_seconds += time.monotonic() - started
        # False after a skipped update, so the caller does not retry it in a busy loop.
        return made > 0

    def _log_metrics(self, log: RunLog) -> None:
        log.metrics(self.role, self.updater.batches, self.updater.metrics.take())

    def _over_limit(self, started: float) -> bool:
        limit = self.settings.round_limit_s
        return limit is not None and time.monotonic() - started > limit

    def publish(self) -> None:
        """Publish the acting module; roll back instead if a weight is not finite."""
        if self.rollback_if_nonfinite():
            return
        self.updater.snapshot()
        if self.writer:
            self.learner.latest_version = self.writer.publish()

    def rollback_if_nonfinite(self) -> bool:
        """Roll back to the last snapshot if a weight is not finite; return whether it did."""
        if all(bool(torch.isfinite(t).all()) for t in self.learner.state_dict().values()):
            return False
        self.updater.rollback()
        return True

    def state_dict(self) -> dict[str, Any]:
        """Return the state without weights, replay rows and pending rollouts.

        Between two updates of a round, the state is as if the round ended here.
        """
        learner: dict[str, Any] = {}
        # Lightning's hook for state that is neither a parameter nor a buffer.
        self.learner.on_save_checkpoint(learner)
        return {
            "updater": self.updater.state_dict(),
            "learner": learner,
            "version": self.learner.latest_version,
            "replay": self.replay.state_dict(),
            "replay_batches_left": self._replay_batches_left,
            "dropped": self.dropped,
            "replay_seconds": self.replay_seconds,
            "metrics": self.metrics(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> str | None:
        """Load `state`; the weights that belong to it must be loaded already.

        Returns:
            What is lost of the replay buffer, in words, or None.

        Raises:
            KeyError, ValueError: it is the state of another learner.
        """
        self.updater.load_state_dict(state["updater"])
        self.learner.on_load_checkpoint(state["learner"])
        self.learner.latest_version = state["version"]
        lost = self.replay.load_state_dict(state["replay"])
        self.restore_counters(state["metrics"])
        self.dropped, self.replay_seconds = state["dropped"], state["replay_seconds"]
        left = self._replay_batches_left = state["replay_batches_left"]
        self._replay_batches = itertools.islice(self.replay.batches(self.learner), left)
        return lost

    def metrics(self) -> dict[str, float]:
        """Return its row of the status board, `LEARNER_METRICS`."""
        return {
            "rollouts": self.rollouts,
            "updates": self.updater.batches,
            "replay_updates": self.replay_updates,
            "skipped": self.updater.skipped,
            "rollbacks": self.updater.rollbacks,
            "seconds": self.seconds,
            "loss": self.loss,
            "version": self.learner.latest_version,
        }
