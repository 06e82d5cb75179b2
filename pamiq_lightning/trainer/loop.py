"""The training loop: enqueues new rollouts, schedules the workers, and serves the agent's requests.

It knows nothing of models: replay and training are the workers'.
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

RolloutCallback = Callable[[Rollout], None]


class TrainerLoop:
    """Trains all learners on every new rollout, and from replay while none is unread.

    Args:
        workers: in the order of training, if `fair` is False.
        reader: where the rollouts come from.
        board: shows the agent the progress, and has its requests.
        log: takes metrics.
        wait: returns when there may be work, or after a while (at once if given False); returns
            False if the agent is gone.
        save: saves every learner; returns whether it succeeded.
        on_round: called with the newest rollout when all learners have finished one more.
        on_rollout: called with every rollout as it is read.
        fair: train the worker with the least training time first.
        replay_ratio: highest number of replay updates per update made in rounds; 0 for none.
    """

    def __init__(
        self,
        workers: Sequence[LearnerWorker],
        reader: RolloutReader,
        board: StatusBoard,
        log: RunLog,
        wait: Callable[[bool], bool],
        save: Callable[[], bool],
        on_round: Sequence[RolloutCallback] = (),
        on_rollout: Sequence[RolloutCallback] = (),
        fair: bool = True,
        replay_ratio: float = 0.0,
    ) -> None:
        self.workers, self.reader, self.board, self.log = workers, reader, board, log
        self._wait, self._save = wait, save
        self._on_round, self._on_rollout = on_round, on_rollout
        self._fair, self._replay_ratio = fair, replay_ratio
        self._newest: Rollout | None = None
        self._agent_gone = False

    def begin(self) -> None:
        """Show the initial metrics and progress on the board; the agent may act from then on."""
        for worker in self.workers:
            self.board.set_learner(worker.role, worker.metrics())
        self._update_progress()
        self.board.ready = True

    def run(self, notify_agent: Callable[[], object]) -> None:
        """Train until the board says stop or the agent is gone.

        Args:
            notify_agent: called when all learners have finished one more rollout.
        """
        while not self._service_requests():
            rounds = self.board.rounds
            if self.turn():
                if self.board.rounds > rounds:
                    notify_agent()
            else:
                self._agent_gone = not self._wait(not self.replay_update())
        # The last checkpoint then has them as pending, to be trained on after a resume.
        self._enqueue_unread()

    def turn(self) -> bool:
        """Train the next worker on all its pending rollouts; return False if no worker has any."""
        unread = self._enqueue_unread()
        waiting = [worker for worker in self.workers if worker.pending]
        if waiting:
            worker = min(waiting, key=lambda w: w.seconds) if self._fair else waiting[0]
            worker.train(self.log, lambda: self._service_requests(in_round=True))
            self.board.set_learner(worker.role, worker.metrics())
        elif not unread:
            return False
        self._update_progress()
        return True

    def replay_update(self) -> bool:
        """Make one update from replay if a worker may make one; return whether one was made."""
        for worker in sorted(self.workers, key=lambda w: w.replay_seconds):
            if worker.replay_update(self.log, self._replay_ratio):
                self.board.set_learner(worker.role, worker.metrics())
                return True
        return False

    def _enqueue_unread(self) -> int:
        """Enqueue every unread rollout for every worker; return how many there were."""
        count = 0
        while (rollout := self.reader.read()) is not None:
            names = self.reader.spec.shape.info_names
            self.log.metrics("agent", rollout.number, rollout_metrics(rollout, names))
            for callback in self._on_rollout:
                callback(rollout)
            for worker in self.workers:
                worker.enqueue(rollout)
            self._newest, count = rollout, count + 1
        return count

    def _update_progress(self) -> None:
        """Call `on_round` if all learners have finished one more rollout, and update the board."""
        rounds = self.reader.cursor - max(len(worker.pending) for worker in self.workers)
        dropped = self.reader.dropped + max(worker.dropped for worker in self.workers)
        if rounds > self.board.rounds and self._newest is not None:
            for callback in self._on_round:
                callback(self._newest)
        self.board.rollouts_dropped = dropped
        # Last: under lockstep the agent continues once it sees this.
        self.board.rounds = rounds

    def _service_requests(self, in_round: bool = False) -> bool:
        """Write the heartbeat and do what the agent requests; return whether to end.

        Called between any two updates, when learners and optimizers are consistent. A save
        requested within a round is made at its end, unless the trainer pauses in it.
        """
        while True:
            self.board.heartbeat = time.monotonic()
            requested = self.board.save_requested
            if self.board.saved(requested) is None and (self.board.paused or not in_round):
                if self._save():
                    self.board.save_done = requested
                else:
                    self.board.save_failed = requested
            if self.board.stop or self._agent_gone:
                return True
            self.board.paused = self.board.pause
            if not self.board.paused:
                return False
            self._agent_gone = not self._wait(True)


def rollout_metrics(rollout: Rollout, info_names: Sequence[str]) -> Mapping[str, float]:
    """Return the agent's metrics of one rollout, with the means of the logged rewards."""
    reward, info = rollout.steps["reward"], rollout.steps["info"]
    logged_rewards = {}
    for column, name in enumerate(info_names):
        known = info[:, column][~np.isnan(info[:, column])]
        if name.startswith(LOGGED_REWARD_PREFIX) and len(known):
            logged_rewards[f"{name}_mean"] = float(known.mean())
    return {
        "reward_mean": float(reward.mean()),
        "reward_max": float(reward.max()),
        "value_mean": float(rollout.steps["value"].mean()),
        **logged_rewards,
        **{name: value for name, value in rollout.metrics.items() if value == value},
    }
