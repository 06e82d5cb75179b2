"""A notice board: the few figures that trainer and recorder show the agent, and its word to stop.

Each number is one aligned 8-byte word with one writer, so that a reader never sees half of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pamiq_lightning.exchange.shared_memory import Layout, SharedFile, layout

LEARNER_FIGURES = (
    "rollouts",
    "updates",
    "idle_updates",
    "skipped",
    "rollbacks",
    "seconds",
    "loss",
    "version",
)
"""What the trainer tells of each learner: windows trained, updates in all, those of them made while
no window was unread, updates left out, returns to the last good state, seconds spent, last loss,
published version."""


@dataclass(frozen=True)
class StatusBoardSpec:
    """All that a process needs to open the board: picklable."""

    path: Path
    roles: tuple[str, ...]

    @property
    def layout(self) -> Layout:
        """The arrays of the file."""
        return layout(
            [
                ("stop", (1,), np.int64),
                ("pause", (1,), np.int64),
                ("paused", (1,), np.int64),
                ("save_requested", (1,), np.int64),
                ("save_done", (1,), np.int64),
                ("save_failed", (1,), np.int64),
                ("save_error", (1,), np.int64),
                ("ready", (1,), np.int64),
                ("rollouts_dropped", (1,), np.int64),
                ("rounds", (1,), np.int64),
                ("heartbeat", (1,), np.float64),
                ("recorder", (5,), np.int64),
                ("learners", (len(self.roles), len(LEARNER_FIGURES)), np.float64),
            ]
        )


class StatusBoard:
    """One process's view of the board."""

    def __init__(self, spec: StatusBoardSpec, create: bool = False) -> None:
        self.spec = spec
        self._file = SharedFile(spec.path, spec.layout, create)

    def _word(self, name: str) -> int:
        return int(self._file[name][0])

    @property
    def stop(self) -> bool:
        """Whether the agent asked the trainer to end."""
        return bool(self._word("stop"))

    def request_stop(self) -> None:
        """Agent: ask the trainer (and the recorder) to end."""
        self._file["stop"][0] = 1

    @property
    def pause(self) -> bool:
        """Whether the agent asked the trainer to stand still."""
        return bool(self._word("pause"))

    def request_pause(self, pause: bool) -> None:
        """Agent: ask the trainer to stand still, or to go on."""
        self._file["pause"][0] = pause

    @property
    def paused(self) -> bool:
        """Whether the trainer stands still."""
        return bool(self._word("paused"))

    def set_paused(self, paused: bool) -> None:
        """Trainer: tell whether it stands still."""
        self._file["paused"][0] = paused

    @property
    def save_requested(self) -> int:
        """Number of the newest save that was asked for."""
        return self._word("save_requested")

    def request_save(self) -> int:
        """Agent: ask for a save; return its number, to be compared with what `saved` says."""
        self._file["save_requested"][0] = self.save_requested + 1
        return self.save_requested

    def saved(self, number: int) -> bool | None:
        """Return whether a save that was asked for is on disk; None while it is not settled."""
        if self._word("save_done") >= number:
            return True
        return False if self._word("save_failed") >= number else None

    def set_saved(self, number: int, done: bool) -> None:
        """Trainer: tell how the save of this number, and those asked for before it, ended."""
        self._file["save_done" if done else "save_failed"][0] = number

    @property
    def save_error(self) -> int:
        """The system's number of what the newest save failed of; 0 if it did not fail."""
        return self._word("save_error")

    def set_save_error(self, number: int) -> None:
        """Trainer: tell what the newest save failed of, or 0."""
        self._file["save_error"][0] = number

    @property
    def ready(self) -> bool:
        """Whether the trainer is warmed up and has published every learner's first weights."""
        return bool(self._word("ready"))

    def set_ready(self, ready: bool = True) -> None:
        """Trainer: tell that the first weights are out; agent: that a new one has to say so."""
        self._file["ready"][0] = ready

    @property
    def heartbeat(self) -> float:
        """When the trainer last did something, in monotonic seconds; 0 before it ever did."""
        return float(self._file["heartbeat"][0])

    def beat(self, now: float) -> None:
        """Trainer: tell that it is at work."""
        self._file["heartbeat"][0] = now

    @property
    def rollouts_dropped(self) -> int:
        """Windows the trainer was too slow for."""
        return self._word("rollouts_dropped")

    @property
    def recorder_dropped(self) -> int:
        """Windows the recorder was too slow for, or died of."""
        return int(self._file["recorder"][0])

    @property
    def recorder_refused(self) -> int:
        """Windows the disk refused, in part or all."""
        return int(self._file["recorder"][1])

    @property
    def recorder_errno(self) -> int:
        """Why the disk refused one last, as an errno."""
        return int(self._file["recorder"][2])

    @property
    def recorder_cursor(self) -> int | None:
        """Number of the window that the recorder takes next; None before its first."""
        return int(self._file["recorder"][3]) or None

    def set_recorder(self, dropped: int, refused: int, code: int) -> None:
        """Recorder: tell what was lost; a code of 0 leaves the last one standing."""
        self._file["recorder"][2] = code or self.recorder_errno
        self._file["recorder"][:2] = dropped, refused

    @property
    def recorder_finished(self) -> int:
        """Number of the window after the last that the recorder was done with, in whatever way."""
        return int(self._file["recorder"][4])

    def set_recorder_cursor(self, cursor: int) -> None:
        """Recorder: tell which window it takes next, before it writes the one that it has taken."""
        self._file["recorder"][3] = cursor

    def set_recorder_finished(self, cursor: int) -> None:
        """Recorder: tell that it is done with all before that window."""
        self._file["recorder"][4] = cursor

    @property
    def rounds(self) -> int:
        """Windows that every learner has finished with (or passed over)."""
        return self._word("rounds")

    def set_progress(self, rounds: int, rollouts_dropped: int) -> None:
        """Trainer: tell how many windows all learners are done with, and how many were dropped."""
        self._file["rollouts_dropped"][0] = rollouts_dropped
        self._file["rounds"][0] = rounds

    def learner(self, role: str) -> dict[str, float]:
        """Return the figures of one learner."""
        row = self._file["learners"][self.spec.roles.index(role)]
        return dict(zip(LEARNER_FIGURES, row.tolist(), strict=True))

    def set_learner(self, role: str, metrics: dict[str, float]) -> None:
        """Trainer: write the figures of one learner."""
        row = self._file["learners"][self.spec.roles.index(role)]
        row[:] = [metrics[name] for name in LEARNER_FIGURES]
