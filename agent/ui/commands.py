"""What a person can have the agent do, whichever way they ask: pause, resume, save, stop, status.

Each verb returns when the thing is done and says so, or raises: nothing is answered in between.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from agent.lifecycle.signals import StopRequest
from agent.pause import PERSON, POLL_S, Pauses
from agent.run_dir import CHECKPOINTS, TRAINER_LOG
from agent.ui.terminal import StatusSource
from pamiq_lightning.exchange.status_board import StatusBoard

PAUSE_LIMIT_S = 10.0
"""How long the loop may take to stand still, and how long the trainer may after it."""
SAVE_LIMIT_S = 60.0
VERBS = ("pause", "resume", "save", "stop")
TOLD_KEPT = 50


class CommandFailed(Exception):  # noqa: N818
    """What was asked for did not come about; the message says why."""


class NotDoneInTimeError(CommandFailed):
    """It has not come about within its limit; it may still."""


class Trainer(Protocol):
    """What is asked of the trainer's process; see `pamiq_lightning.trainer.process`."""

    restarts: int

    def wake(self) -> None: ...  # noqa: D102


class Controls:
    """The verbs, for any thread but the loop's.

    Args:
        folder: the run's.
        stop: what ends the run.
        pauses: the loop's reasons to stand still.
        board: where the trainer is asked, and answers.
        trainer: its process.
        pause_trainer: whether a person's pause is the trainer's too.
        now: monotonic seconds.
        sleep: waits for so many seconds.

    Attributes:
        source: the figures of the loop; None until it is built.
        trainer_lives: whether the trainer's process ran when it was last looked after.
        told: what was told of late, as (clock time, text), oldest first.
        on_told: called after each of those.
    """

    def __init__(
        self,
        folder: Path,
        stop: StopRequest,
        pauses: Pauses,
        board: StatusBoard,
        trainer: Trainer,
        pause_trainer: bool,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.folder, self.pauses = folder, pauses
        self.source: StatusSource | None = None
        self.trainer_lives = True
        self.told: deque[tuple[str, str]] = deque(maxlen=TOLD_KEPT)
        self.on_told: Callable[[str], object] = lambda text: None
        self._stop, self._board, self._trainer = stop, board, trainer
        self._pause_trainer = pause_trainer
        self._now, self._sleep = now, sleep
        self._born = now()
        self._pausing, self._saving = threading.Lock(), threading.Lock()

    def do(self, verb: str, who: str) -> str:
        """Do what one of `VERBS` says for `who`; return what came of it, in a sentence.

        Raises:
            CommandFailed: it did not come about.
        """
        if verb == "stop":
            return self.stop(who)
        if self._stop():
            raise CommandFailed("the run is ending")
        done = {"pause": self.pause, "resume": self.resume, "save": self.save}[verb]()
        self.notify(done)
        return done

    def pause(self) -> str:
        """Let the agent stand still, every input neutral, and the trainer too where that is set."""
        with self._pausing:
            self.pauses.add(PERSON)
            self._wait(
                lambda: self.pauses.paused,
                PAUSE_LIMIT_S,
                "the agent does not stand still yet; it will before its next tick",
            )
            return "Paused: every input is neutral" + (
                self._hold_trainer() if self._pause_trainer else "."
            )

    def _hold_trainer(self) -> str:
        """Ask after the agent stands: under lockstep it waits for the trainer until then."""
        self._board.request_pause(True)
        self._trainer.wake()
        self._wait(
            lambda: self._board.paused or not self._trains,
            PAUSE_LIMIT_S,
            "the agent is paused, but the trainer does not stand still yet; it will after its "
            "update",
        )
        return ", the trainer stands still." if self._trains else "; there is no trainer at work."

    @property
    def _trains(self) -> bool:
        return self.trainer_lives and self._board.ready

    def resume(self) -> str:
        """Take the person's reason to pause away; what else stands keeps the agent still."""
        with self._pausing:
            self._board.request_pause(False)
            self._trainer.wake()
            self.pauses.remove(PERSON)
            self._wait(
                lambda: self.pauses.requested or not self.pauses.paused,
                PAUSE_LIMIT_S,
                "the agent has not gone on yet",
            )
            others = ", ".join(self.pauses.reasons)
            return f"Still paused, for another reason: {others}." if others else "Goes on."

    def save(self) -> str:
        """Have a checkpoint of everything written to disk."""
        with self._saving:
            if not self.trainer_lives:
                raise CommandFailed("there is no trainer at work that could save")
            number = self._board.request_save()
            self._trainer.wake()
            self._wait(
                lambda: self._board.saved(number) is not None or not self.trainer_lives,
                SAVE_LIMIT_S,
                "the trainer has not saved yet",
            )
            if not self._board.saved(number):
                raise CommandFailed(f"nothing was saved: see {self.folder / TRAINER_LOG}")
            return f"Saved to {self.folder / CHECKPOINTS}."

    def stop(self, who: str) -> str:
        """Ask for a clean end of the run."""
        self._stop.request(who)
        self.notify(f"Stopping ({who}).")
        return "Stopping."

    def notify(self, text: str) -> None:
        """Say something to whoever watches the run."""
        self.told.append((time.strftime("%H:%M:%S"), text))
        self.on_told(text)

    @property
    def state(self) -> str:
        """One word: starting, running, paused or stopping."""
        if self._stop():
            return "stopping"
        if self.source is None:
            return "starting"
        return "paused" if self.pauses.paused else "running"

    def summary(self, ended: str | None = None, exit_code: int | None = None) -> dict[str, Any]:
        """Return summary.json: all figures, and how the run ended, if it has."""
        metrics = self.source.summary() if self.source else {}
        return metrics | {
            "trainer_restarts": self._trainer.restarts,
            "ended": ended,
            "exit_code": exit_code,
        }

    def status(self) -> dict[str, Any]:
        """Return the summary so far, and what is so at this moment."""
        board, now = self._board, self._now()
        return self.summary() | {
            "state": self.state,
            "pause_reasons": list(self.pauses.reasons),
            "pid": os.getpid(),
            "run": str(self.folder),
            "uptime_s": round(now - self._born, 1),
            "trainer": {
                "alive": self.trainer_lives,
                "ready": board.ready,
                "standing_still": board.pause and board.paused,
                "silent_s": round(now - board.heartbeat, 1) if board.heartbeat else None,
            },
            "told": [{"time": time, "text": text} for time, text in self.told],
        }

    def _wait(self, done: Callable[[], bool], limit_s: float, otherwise: str) -> None:
        """Return when it is done.

        Raises:
            NotDoneInTimeError: it is not within the limit.
            CommandFailed: the run ends first.
        """
        limit = self._now() + limit_s
        while not done():
            if self._stop():
                raise CommandFailed("the run is ending")
            if self._now() > limit:
                raise NotDoneInTimeError(f"{otherwise} (waited {limit_s:.0f} s)")
            self._sleep(POLL_S)
