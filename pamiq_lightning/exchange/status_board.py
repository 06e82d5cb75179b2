"""The status board: progress of trainer and recorder, and the agent's requests to them.

Every field is one word with one writing process, but for two of the trainer's. A reader may see
words of two updates in its row of learner metrics. Its messages to the person are in a ring.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pamiq_lightning.exchange.shared_memory import Layout, SharedFile, SlotRing, Word, layout

LEARNER_METRICS = (
    "rollouts",
    "updates",
    "replay_updates",
    "skipped",
    "rollbacks",
    "seconds",
    "loss",
    "version",
)
"""Metrics of each learner: rollouts trained on, updates in all, updates from replay while no
rollout was unread, updates skipped, rollbacks, training seconds, last loss, published version."""
MESSAGES, MESSAGE_BYTES = 16, 1024
"""Messages that the board keeps, and the longest; what is longer is cut."""


@dataclass(frozen=True)
class StatusBoardSpec:
    """Everything a process needs to open the board: picklable."""

    path: Path
    roles: tuple[str, ...]

    @property
    def layout(self) -> Layout:
        """The arrays of the file."""
        learners = ("learners", (len(self.roles), len(LEARNER_METRICS)), np.float64)
        text = ("text", (MESSAGES, MESSAGE_BYTES), np.uint8)
        return layout([*Word.fields(StatusBoard), learners, *SlotRing.fields(MESSAGES), text])


class StatusBoard:
    """One process's view of the board."""

    # Written by the agent.
    stop = Word(bool)
    """Trainer and recorder shall end."""
    pause = Word(bool)
    """The trainer shall pause."""
    save_requested = Word(int)
    """Number of the newest requested save."""

    # Written by the trainer; the agent resets the first three before it starts a new one.
    ready = Word(bool)
    """The trainer is warmed up and has published every learner's first weights."""
    paused = Word(bool)
    """The trainer is paused."""
    heartbeat = Word(float)
    """When the trainer last did something, in monotonic seconds; 0 before it ever did."""
    rounds = Word(int)
    """Number of rollouts that every learner has finished or dropped."""
    rollouts_dropped = Word(int)
    """Rollouts the trainer was too slow for."""
    save_done = Word(int)
    """Number of the newest save that succeeded."""
    save_failed = Word(int)
    """Number of the newest save that failed."""

    # Written by the recorder.
    recorder_cursor = Word(int)
    """Number of the rollout the recorder takes next; 0 before its first."""
    recorder_finished = Word(int)
    """Number after the last rollout the recorder has written or lost."""
    recorder_dropped = Word(int)
    """Rollouts the recorder was too slow for, or died of."""
    recorder_refused = Word(int)
    """Rollouts the disk refused, in part or all."""
    recorder_errno = Word(int)
    """errno of the last refusal."""

    def __init__(self, spec: StatusBoardSpec, create: bool = False) -> None:
        self.spec = spec
        self.file = SharedFile(spec.path, spec.layout, create)
        self._messages, self._posting = SlotRing(self.file), threading.Lock()
        self._read = 0

    def request_stop(self) -> None:
        """Agent: request that trainer and recorder end."""
        self.stop = True

    def request_pause(self, pause: bool) -> None:
        """Agent: request that the trainer pauses, or continues."""
        self.pause = pause

    def request_save(self) -> int:
        """Agent: request a save; return its number, for `saved`."""
        self.save_requested += 1
        return self.save_requested

    def saved(self, number: int) -> bool | None:
        """Return whether a requested save succeeded; None while it is pending."""
        if self.save_done >= number:
            return True
        return False if self.save_failed >= number else None

    def post(self, text: str) -> None:
        """Trainer: add a message for the person; any thread may call it, and it never waits."""
        content = np.frombuffer(text.encode()[:MESSAGE_BYTES], np.uint8)
        with self._posting:
            number = self._messages.filled
            row = self.file["text"][self._messages.open(number)]
            row[:] = 0
            row[: len(content)] = content
            self._messages.commit(number)

    def new_messages(self) -> list[str]:
        """Agent: return the messages since the last call, without those overwritten meanwhile."""
        first, self._read = self._read, self._messages.filled
        texts = (
            self._messages.read(number, lambda slot: self.file["text"][slot].tobytes())
            for number in range(max(first, self._read - MESSAGES), self._read)
        )
        return [text.rstrip(b"\0").decode(errors="ignore") for text in texts if text is not None]

    def learner(self, role: str) -> dict[str, float]:
        """Return the metrics of one learner."""
        row = self.file["learners"][self.spec.roles.index(role)]
        return dict(zip(LEARNER_METRICS, row.tolist(), strict=True))

    def set_learner(self, role: str, metrics: dict[str, float]) -> None:
        """Trainer: write the metrics of one learner."""
        row = self.file["learners"][self.spec.roles.index(role)]
        row[:] = [metrics[name] for name in LEARNER_METRICS]
