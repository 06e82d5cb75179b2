"""What a person can have the agent do, by any means: pause, resume, save, stop, status.

Each command returns when it is done, or raises.
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
"""How long the loop may take to pause, and how long the trainer may after it."""
SAVE_LIMIT_S = 60.0
VERBS = ("pause", "resume", "save", "stop")
MESSAGES_KEPT = 50


class CommandFailed(Exception):  # noqa: N818
    """A command was not done; the message says why."""


class NotDoneInTimeError(CommandFailed):
    """A command was not done within its limit; it may still be."""


class Trainer(Protocol):
    """What the commands need of the trainer; see `pamiq_lightning.trainer.process`."""

    @property
    def restarts(self) -> int: ...  # noqa: D102

    def wake(self) -> None: ...  # noqa: D102


class Commands:
    """The commands of one run, for any thread but the loop's.

    Args:
        folder: of the run.
        stop: what ends the run.
        pauses: the loop's reasons to pause.
        board: takes the requests to the trainer, and its answers.
        trainer: the trainer's process.
        pause_trainer: whether a person's pause pauses the trainer too.
        now: monotonic seconds.
        sleep: waits for so many seconds.

    Attributes:
        source: the loop's metrics; None until the loop is built.
        trainer_alive: whether the trainer's process ran at the last look.
        messages: the newest messages as (clock time, text), oldest first.
        on_message: called with the text of each.
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
        self.trainer_alive = True
        self.messages: deque[tuple[str, str]] = deque(maxlen=MESSAGES_KEPT)
        self.on_message: Callable[[str], object] = lambda text: None
        self._stop, self._board, self._trainer = stop, board, trainer
        self._pause_trainer_too = pause_trainer
        self._now, self._sleep = now, sleep
        self._started = now()
        self._pausing, self._saving = threading.Lock(), threading.Lock()

    def do(self, verb: str, who: str) -> str:
        """Do one of `VERBS` for `who`; return the result in a sentence.

        Raises:
            CommandFailed: it was not done.
        """
        if verb == "stop":
            return self.stop(who)
        if self._stop():
            raise CommandFailed("the run is ending")
        result = {"pause": self.pause, "resume": self.resume, "save": self.save}[verb]()
        self.notify(result)
        return result

    def pause(self) -> str:
        """Pause the agent, every input neutral, and the trainer too where that is set."""
        with self._pausing:
            self.pauses.add(PERSON)
            self._wait(
                lambda: self.pauses.paused,
                PAUSE_LIMIT_S,
                "the agent is not paused yet; it will pause before its next tick",
            )
            return "Paused: every input is neutral" + (
                self._pause_trainer() if self._pause_trainer_too else "."
            )

    def _pause_trainer(self) -> str:
        """Request it after the agent has paused: under lockstep the agent waits for the trainer."""
        self._board.request_pause(True)
        self._trainer.wake()
        self._wait(
            lambda: self._board.paused or not self._trains,
            PAUSE_LIMIT_S,
            "the agent is paused, but the trainer is not yet; it will pause after its update",
        )
        return ", the trainer is paused." if self._trains else "; no trainer is running."

    @property
    def _trains(self) -> bool:
        return self.trainer_alive and self._board.ready

    def resume(self) -> str:
        """End the person's pause; other reasons keep the agent paused."""
        with self._pausing:
            self._board.request_pause(False)
            self._trainer.wake()
            self.pauses.remove(PERSON)
            self._wait(
                lambda: self.pauses.requested or not self.pauses.paused,
                PAUSE_LIMIT_S,
                "the agent has not resumed yet",
            )
            others = ", ".join(self.pauses.reasons)
            return f"Still paused for another reason: {others}." if others else "Resumed."

    def save(self) -> str:
        """Have a checkpoint of everything written to disk."""
        with self._saving:
            if not self.trainer_alive:
                raise CommandFailed("no trainer is running that could save")
            number = self._board.request_save()
            self._trainer.wake()
            self._wait(
                lambda: self._board.saved(number) is not None or not self.trainer_alive,
                SAVE_LIMIT_S,
                "the trainer has not saved yet",
            )
            if not self._board.saved(number):
                raise CommandFailed(f"nothing was saved: see {self.folder / TRAINER_LOG}")
            return f"Saved to {self.folder / CHECKPOINTS}."

    def stop(self, who: str) -> str:
        """Request a clean end of the run."""
        self._stop.request(who)
        self.notify(f"Stopping ({who}).")
        return "Stopping."

    def notify(self, text: str) -> None:
        """Add a message for whoever watches the run."""
        self.messages.append((time.strftime("%H:%M:%S"), text))
        self.on_message(text)

    @property
    def state(self) -> str:
        """One word: starting, running, paused or stopping."""
        if self._stop():
            return "stopping"
        if self.source is None:
            return "starting"
        return "paused" if self.pauses.paused else "running"

    def summary(self, ended: str | None = None, exit_code: int | None = None) -> dict[str, Any]:
        """Return summary.json: all metrics, and how the run ended, if it has."""
        metrics = self.source.summary() if self.source else {}
        return metrics | {
            "trainer_restarts": self._trainer.restarts,
            "ended": ended,
            "exit_code": exit_code,
        }

    def status(self) -> dict[str, Any]:
        """Return the summary so far, and the present state."""
        board, now = self._board, self._now()
        return self.summary() | {
            "state": self.state,
            "pause_reasons": list(self.pauses.reasons),
            "pid": os.getpid(),
            "run": str(self.folder),
            "uptime_s": round(now - self._started, 1),
            "trainer": {
                "alive": self.trainer_alive,
                "ready": board.ready,
                "paused": board.pause and board.paused,
                "heartbeat_age_s": round(now - board.heartbeat, 1) if board.heartbeat else None,
            },
            "messages": [{"time": time, "text": text} for time, text in self.messages],
        }

    def _wait(self, done: Callable[[], bool], limit_s: float, otherwise: str) -> None:
        """Return when `done`.

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
