"""The training loop: takes new windows, trains every learner on them, publishes what acts.

It knows nothing of models: what a learner remembers and how it learns is the learner's own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import torch
from tensordict import TensorDict

from pamiq_lightning.exchange.board import Board
from pamiq_lightning.exchange.weights import WeightsWriter
from pamiq_lightning.exchange.windows import Window, WindowsReader
from pamiq_lightning.learners.base import Learner
from pamiq_lightning.replay import make_replay, training_round
from pamiq_lightning.trainer.driver import Driver
from pamiq_lightning.trainer.logs import RunLog
from pamiq_lightning.trainer.settings import LearnerSettings

Observer = Callable[[Window], None]


class Trainee:
    """One learner with its driver, its memory, its way out, and a count of what it has done.

    Args:
        role: its key in settings, logs and board.
        learner: the module.
        driver: what trains it.
        writer: where its acting module is published, or None if nothing of it acts.
        settings: freeze and time budget.
    """

    def __init__(
        self,
        role: str,
        learner: Learner,
        driver: Driver,
        writer: WeightsWriter | None,
        settings: LearnerSettings,
    ) -> None:
        self.role, self.learner, self.driver, self.writer = role, learner, driver, writer
        self.settings = settings
        self.replay = make_replay(learner.memory)
        self.windows = 0
        self.seconds = 0.0
        self.loss = float("nan")

    def go_on_from(self, figures: Mapping[str, float]) -> None:
        """Count on from what a trainer before this one had done."""
        self.windows, self.seconds = int(figures["windows"]), figures["seconds"]
        self.driver.batches, self.loss = int(figures["updates"]), figures["loss"]

    def train(self, windows: Sequence[Window], log: RunLog, stop: Callable[[], bool]) -> None:
        """Make one round on new windows, then publish."""
        if self.settings.freeze:
            return
        started = time.monotonic()
        self._round(windows, log, lambda: stop() or self._over_budget(started))
        self.windows += len(windows)
        self.publish()
        self.seconds += time.monotonic() - started

    def _round(self, windows: Sequence[Window], log: RunLog, stop: Callable[[], bool]) -> None:
        steps = [as_tensors(window) for window in windows]
        for batch in training_round(self.learner, self.replay, steps):
            self.loss = self.driver.update(batch)
            log.metrics(self.role, self.driver.batches, self.driver.metrics.take())
            if stop():
                break
        # A round without a batch has still told something of its windows.
        log.metrics(self.role, self.driver.batches, self.driver.metrics.take())

    def _over_budget(self, started: float) -> bool:
        budget = self.settings.budget_s
        return budget is not None and time.monotonic() - started > budget

    def publish(self) -> None:
        """Let the agent have the present weights, unless some are not finite; then go back."""
        if not all(bool(torch.isfinite(t).all()) for t in self.learner.state_dict().values()):
            self.driver.roll_back()
            return
        self.driver.remember_good_state()
        if self.writer:
            self.learner.latest_version = self.writer.publish()

    def figures(self) -> dict[str, float]:
        """Return what the board shows of it."""
        return {
            "windows": self.windows,
            "updates": self.driver.batches,
            "idle_updates": 0,
            "skipped": self.driver.skipped,
            "rollbacks": self.driver.rollbacks,
            "seconds": self.seconds,
            "loss": self.loss,
            "version": self.learner.latest_version,
        }


class TrainerLoop:
    """Trains all learners on every new window.

    Args:
        trainees: in the order they are trained in.
        reader: where the windows come from.
        board: where the agent looks for progress and asks to stop.
        log: where figures go.
        observers: called with the newest window after each round.
    """

    def __init__(
        self,
        trainees: Sequence[Trainee],
        reader: WindowsReader,
        board: Board,
        log: RunLog,
        observers: Sequence[Observer] = (),
    ) -> None:
        self.trainees, self.reader, self.board, self.log = trainees, reader, board, log
        self.observers = observers

    def run(self, wait: Callable[[], bool], on_round: Callable[[], object]) -> None:
        """Train until the board says stop, or nobody is left to train for.

        Args:
            wait: returns when a window may have come, or after a while; False if the agent is gone.
            on_round: called after each round.
        """
        for trainee in self.trainees:
            self.board.set_learner(trainee.role, trainee.figures())
        while not self.board.stop:
            self.board.give_sign_of_life(time.monotonic())
            if self.round():
                on_round()
            elif not wait():
                return

    def round(self) -> bool:
        """Train every learner on all unread windows; return whether there were any."""
        windows = self._unread()
        if not windows:
            return False
        for window in windows:
            self.log.metrics("agent", window.number, window_metrics(window))
        for trainee in self.trainees:
            trainee.train(windows, self.log, self._is_over)
            self.board.set_learner(trainee.role, trainee.figures())
        for observe in self.observers:
            observe(windows[-1])
        self.board.set_progress(self.reader.cursor, self.reader.dropped)
        return True

    def _is_over(self) -> bool:
        """Asked after every update: says that the trainer lives, returns whether to stop."""
        self.board.give_sign_of_life(time.monotonic())
        return self.board.stop

    def _unread(self) -> list[Window]:
        windows = []
        while (window := self.reader.read()) is not None:
            windows.append(window)
        return windows


def as_tensors(window: Window) -> TensorDict:
    """Return a window's steps as a TensorDict [N] over the same memory."""
    rows = {key: torch.from_numpy(array) for key, array in window.steps.items()}
    return TensorDict(rows, [len(window.steps["index"])])


def window_metrics(window: Window) -> Mapping[str, float]:
    """Return the agent's figures of one window."""
    reward = window.steps["reward"]
    return {
        "reward_mean": float(reward.mean()),
        "reward_max": float(reward.max()),
        "value_mean": float(window.steps["value"].mean()),
        **{name: value for name, value in window.figures.items() if value == value},
    }
