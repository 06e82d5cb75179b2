"""The training loop: hands new windows to the learners, gives each its turn, obeys the agent.

It knows nothing of models: what a learner remembers and how it learns is the learner's own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from pamiq_lightning.exchange.rollouts import Window, WindowsReader
from pamiq_lightning.exchange.status_board import Board
from pamiq_lightning.step import REWARD_BESIDE
from pamiq_lightning.trainer.run_log import RunLog
from pamiq_lightning.trainer.worker import Trainee

Observer = Callable[[Window], None]


class TrainerLoop:
    """Trains all learners on every new window, and from memory while there is none.

    Args:
        trainees: in the order they are trained in, where turns do not depend on time.
        reader: where the windows come from.
        board: where the agent looks for progress and asks for something.
        log: where figures go.
        wait: returns when something may be to do, or after a while (at once if given False); False
            if the agent is gone.
        save: saves every learner; returns whether it could.
        observers: called with the newest window whenever all learners are done with one more.
        takers: called with every window as it is read.
        fair: whoever has had the least time comes first; else the order of the trainees holds.
        idle_ratio: updates from memory for each one on new windows, at most; 0 for none.
    """

    def __init__(
        self,
        trainees: Sequence[Trainee],
        reader: WindowsReader,
        board: Board,
        log: RunLog,
        wait: Callable[[bool], bool],
        save: Callable[[], bool],
        observers: Sequence[Observer] = (),
        takers: Sequence[Observer] = (),
        fair: bool = True,
        idle_ratio: float = 0.0,
    ) -> None:
        self.trainees, self.reader, self.board, self.log = trainees, reader, board, log
        self._wait, self._save, self._observers = wait, save, observers
        self._takers, self._fair, self._idle_ratio = takers, fair, idle_ratio
        self._newest: Window | None = None
        self._abandoned = False

    def begin(self) -> None:
        """Show where everybody stands; the agent may act from then on."""
        for trainee in self.trainees:
            self.board.set_learner(trainee.role, trainee.figures())
        self._tell_progress()
        self.board.set_ready()

    def run(self, on_round: Callable[[], object]) -> None:
        """Train until the board says stop, or nobody is left to train for.

        Args:
            on_round: called whenever all learners are done with one more window.
        """
        while not self._attend():
            rounds = self.board.rounds
            if self.turn():
                if self.board.rounds > rounds:
                    on_round()
            else:
                self._abandoned = not self._wait(not self.rehearse())
        # So that they wait in the last checkpoint, to be trained on when the life goes on.
        self._take_unread()

    def turn(self) -> bool:
        """Train the learner whose turn it is on all its windows; return False if none has any."""
        windows = self._take_unread()
        waiting = [trainee for trainee in self.trainees if trainee.pending]
        if waiting:
            chosen = min(waiting, key=lambda t: t.seconds) if self._fair else waiting[0]
            chosen.train(self.log, lambda: self._attend(in_round=True))
            self.board.set_learner(chosen.role, chosen.figures())
        elif not windows:
            return False
        self._tell_progress()
        return True

    def rehearse(self) -> bool:
        """Make one update from memory where one is allowed; return whether one was made."""
        for trainee in sorted(self.trainees, key=lambda t: t.idle_seconds):
            if trainee.rehearse(self.log, self._idle_ratio):
                self.board.set_learner(trainee.role, trainee.figures())
                return True
        return False

    def _take_unread(self) -> int:
        """Let every learner have the windows that are new; return how many there were."""
        count = 0
        while (window := self.reader.read()) is not None:
            names = self.reader.spec.shape.info_names
            self.log.metrics("agent", window.number, window_metrics(window, names))
            for take in self._takers:
                take(window)
            for trainee in self.trainees:
                trainee.take(window)
            self._newest, count = window, count + 1
        return count

    def _tell_progress(self) -> None:
        """Say which windows all learners are done with, and let the observers have the newest."""
        done = self.reader.cursor - max(len(trainee.pending) for trainee in self.trainees)
        dropped = self.reader.dropped + max(trainee.dropped for trainee in self.trainees)
        before = self.board.rounds
        if done > before and self._newest is not None:
            for observe in self._observers:
                observe(self._newest)
        # Last: under lockstep the agent goes on from here.
        self.board.set_progress(done, dropped)

    def _attend(self, in_round: bool = False) -> bool:
        """Say that the trainer lives and do what the agent asks; return whether to end.

        Called between any two updates, where learners and optimizers are whole. A save that is
        asked for within a round is made at its end, unless the trainer stands still in it.
        """
        while True:
            self.board.give_sign_of_life(time.monotonic())
            asked = self.board.save_asked
            if self.board.saved(asked) is None and (self.board.paused or not in_round):
                self.board.set_saved(asked, self._save())
            if self.board.stop or self._abandoned:
                return True
            self.board.set_paused(self.board.pause)
            if not self.board.paused:
                return False
            self._abandoned = not self._wait(True)


def window_metrics(window: Window, info_names: Sequence[str]) -> Mapping[str, float]:
    """Return the agent's figures of one window; of the info, only the rewards beside."""
    reward, info = window.steps["reward"], window.steps["info"]
    beside = {}
    for place, name in enumerate(info_names):
        known = info[:, place][~np.isnan(info[:, place])]
        if name.startswith(REWARD_BESIDE) and len(known):
            beside[f"{name}_mean"] = float(known.mean())
    return {
        "reward_mean": float(reward.mean()),
        "reward_max": float(reward.max()),
        "value_mean": float(window.steps["value"].mean()),
        **beside,
        **{name: value for name, value in window.figures.items() if value == value},
    }
