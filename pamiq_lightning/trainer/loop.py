"""The training loop: hands new windows to the learners, gives each its turn, obeys the agent.

It knows nothing of models: what a learner remembers and how it learns is the learner's own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from pamiq_lightning.exchange.rollouts import Rollout, RolloutReader
from pamiq_lightning.exchange.status_board import StatusBoard
from pamiq_lightning.step import LOGGED_REWARD_PREFIX
from pamiq_lightning.trainer.run_log import RunLog
from pamiq_lightning.trainer.worker import LearnerWorker

Observer = Callable[[Rollout], None]


class TrainerLoop:
    """Trains all learners on every new window, and from memory while there is none.

    Args:
        workers: in the order they are trained in, where turns do not depend on time.
        reader: where the windows come from.
        board: where the agent looks for progress and asks for something.
        log: where figures go.
        wait: returns when something may be to do, or after a while (at once if given False); False
            if the agent is gone.
        save: saves every learner; returns whether it could.
        observers: called with the newest window whenever all learners are done with one more.
        takers: called with every window as it is read.
        fair: whoever has had the least time comes first; else the order of the workers holds.
        replay_ratio: updates from memory for each one on new windows, at most; 0 for none.
    """

    def __init__(
        self,
        workers: Sequence[LearnerWorker],
        reader: RolloutReader,
        board: StatusBoard,
        log: RunLog,
        wait: Callable[[bool], bool],
        save: Callable[[], bool],
        observers: Sequence[Observer] = (),
        takers: Sequence[Observer] = (),
        fair: bool = True,
        replay_ratio: float = 0.0,
    ) -> None:
        self.workers, self.reader, self.board, self.log = workers, reader, board, log
        self._wait, self._save, self._observers = wait, save, observers
        self._takers, self._fair, self._idle_ratio = takers, fair, replay_ratio
        self._newest: Rollout | None = None
        self._abandoned = False

    def begin(self) -> None:
        """Show where everybody stands; the agent may act from then on."""
        for worker in self.workers:
            self.board.set_learner(worker.role, worker.metrics())
        self._tell_progress()
        self.board.set_ready()

    def run(self, on_round: Callable[[], object]) -> None:
        """Train until the board says stop, or nobody is left to train for.

        Args:
            on_round: called whenever all learners are done with one more window.
        """
        while not self._service_requests():
            rounds = self.board.rounds
            if self.turn():
                if self.board.rounds > rounds:
                    on_round()
            else:
                self._abandoned = not self._wait(not self.replay_update())
        # So that they wait in the last checkpoint, to be trained on when the life goes on.
        self._enqueue_unread()

    def turn(self) -> bool:
        """Train the learner whose turn it is on all its windows; return False if none has any."""
        rollouts = self._enqueue_unread()
        waiting = [worker for worker in self.workers if worker.pending]
        if waiting:
            chosen = min(waiting, key=lambda t: t.seconds) if self._fair else waiting[0]
            chosen.train(self.log, lambda: self._service_requests(in_round=True))
            self.board.set_learner(chosen.role, chosen.metrics())
        elif not rollouts:
            return False
        self._tell_progress()
        return True

    def replay_update(self) -> bool:
        """Make one update from memory where one is allowed; return whether one was made."""
        for worker in sorted(self.workers, key=lambda t: t.idle_seconds):
            if worker.replay_update(self.log, self._idle_ratio):
                self.board.set_learner(worker.role, worker.metrics())
                return True
        return False

    def _enqueue_unread(self) -> int:
        """Let every learner have the windows that are new; return how many there were."""
        count = 0
        while (rollout := self.reader.read()) is not None:
            names = self.reader.spec.shape.info_names
            self.log.metrics("agent", rollout.number, rollout_metrics(rollout, names))
            for take in self._takers:
                take(rollout)
            for worker in self.workers:
                worker.enqueue(rollout)
            self._newest, count = rollout, count + 1
        return count

    def _tell_progress(self) -> None:
        """Say which windows all learners are done with, and let the observers have the newest."""
        done = self.reader.cursor - max(len(worker.pending) for worker in self.workers)
        dropped = self.reader.dropped + max(worker.dropped for worker in self.workers)
        before = self.board.rounds
        if done > before and self._newest is not None:
            for observe in self._observers:
                observe(self._newest)
        # Last: under lockstep the agent goes on from here.
        self.board.set_progress(done, dropped)

    def _service_requests(self, in_round: bool = False) -> bool:
        """Say that the trainer lives and do what the agent asks; return whether to end.

        Called between any two updates, where learners and optimizers are whole. A save that is
        asked for within a round is made at its end, unless the trainer stands still in it.
        """
        while True:
            self.board.beat(time.monotonic())
            asked = self.board.save_requested
            if self.board.saved(asked) is None and (self.board.paused or not in_round):
                self.board.set_saved(asked, self._save())
            if self.board.stop or self._abandoned:
                return True
            self.board.set_paused(self.board.pause)
            if not self.board.paused:
                return False
            self._abandoned = not self._wait(True)


def rollout_metrics(rollout: Rollout, info_names: Sequence[str]) -> Mapping[str, float]:
    """Return the agent's figures of one window; of the info, only the rewards beside."""
    reward, info = rollout.steps["reward"], rollout.steps["info"]
    beside = {}
    for place, name in enumerate(info_names):
        known = info[:, place][~np.isnan(info[:, place])]
        if name.startswith(LOGGED_REWARD_PREFIX) and len(known):
            beside[f"{name}_mean"] = float(known.mean())
    return {
        "reward_mean": float(reward.mean()),
        "reward_max": float(reward.max()),
        "value_mean": float(rollout.steps["value"].mean()),
        **beside,
        **{name: value for name, value in rollout.metrics.items() if value == value},
    }
