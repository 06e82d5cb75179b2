"""RecordingDataset, agent -> trainer: a ring of windows that the agent fills in place.

A window is N rows of `pamiq_lightning.step`. Each slot has a generation, odd while it is written;
a reader copies a window out and looks at the generation again: where it moved, the copy is thrown
away and the window counted as dropped. Every reader has its own cursor.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pamiq_lightning.exchange.shared_memory import Layout, SharedFile, array_bytes, layout
from pamiq_lightning.step import StepShape

SLOTS = 8
AGENT_METRICS = ("ticks", "rate_hz", "missed_ticks", "tick_ms_p50", "tick_ms_p99", "latency_ms_p99")
"""What the agent tells of itself in a window's header, for the one process that logs."""
_OF_A_MOMENT = ("latent", "state")


@dataclass(frozen=True)
class RolloutsSpec:
    """All that a process needs to open the ring: picklable."""

    path: Path
    shape: StepShape
    rows: int
    slots: int = SLOTS
    agent_states: int = 4
    """How many times what it knows of one moment the agent may tell of its own state."""
    remembered_bytes: int = 0
    """What its rewards may remember beside."""

    @property
    def agent_state_bytes(self) -> int:
        """Room for what the agent tells of its own state.

        The rest is figures and random generators, a few tens of kB.
        """
        fields = self.shape.fields()
        known = sum(array_bytes(fields[key].shape, np.dtype(np.float32)) for key in _OF_A_MOMENT)
        return self.agent_states * known + self.remembered_bytes + (256 << 10)

    @property
    def layout(self) -> Layout:
        """The arrays of the file."""
        rows = [
            (name, (self.slots, self.rows, *field.shape), field.dtype)
            for name, field in self.shape.fields().items()
        ]
        head = [
            ("first", (1,), np.int64),
            ("filled", (1,), np.int64),
            ("generation", (self.slots,), np.int64),
            ("agent_state_size", (self.slots,), np.int64),
            ("agent_state", (self.slots, self.agent_state_bytes), np.uint8),
            ("metrics", (self.slots, len(AGENT_METRICS)), np.float64),
        ]
        return layout([*head, *rows])

    @property
    def size(self) -> int:
        """Bytes of the file, about."""
        return sum(array_bytes(shape, dtype) for _, shape, dtype in self.layout)


@dataclass(frozen=True)
class Rollout:
    """One window, copied out.

    Attributes:
        number: counts from 0; a jump means that windows are missing.
        steps: arrays of N rows.
        figures: what the agent told of itself.
    """

    number: int
    steps: dict[str, NDArray[np.generic]]
    metrics: dict[str, float]


class RolloutWriter:
    """The agent's end. Writing a row costs one copy and never blocks.

    Args:
        spec: where the ring is made.
        first: number of the first window.
    """

    def __init__(self, spec: RolloutsSpec, first: int = 0) -> None:
        self.spec = spec
        self._file = SharedFile(spec.path, spec.layout, create=True)
        self._keys = tuple(spec.shape.fields())
        self.filled = first
        """Number of the window that is written now: one more than that of the last full one."""
        self._file["first"][0] = self._file["filled"][0] = first
        self.row = 0
        """The row of the current window that is written next."""
        self._newest: tuple[int, int] | None = None
        self._open_slot()

    def write(self, row: Mapping[str, ArrayLike]) -> None:
        """Copy one row into the current window.

        Raises:
            KeyError: a key of the schema is missing.
        """
        slot = self.filled % self.spec.slots
        for key in self._keys:
            self._file[key][slot, self.row] = row[key]
        self._newest = (slot, self.row)
        self.row += 1

    def newest(self) -> dict[str, NDArray[np.generic]] | None:
        """Return copies of the parts of the row written last; None before the first.

        Any thread of the agent may ask: that row stays as it is for several windows.
        """
        # Read in one go, for the next row may be written meanwhile.
        place = self._newest
        if place is None:
            return None
        return {key: self._file[key][place].copy() for key in self._keys}

    @property
    def full(self) -> bool:
        """Whether the current window has all its rows."""
        return self.row == self.spec.rows

    def commit(self, metrics: Mapping[str, float], agent_state: bytes = b"") -> None:
        """Give the full window to the readers and open the next slot.

        Args:
            figures: `AGENT_METRICS`.
            moment: the agent's own state, for checkpoints.

        Raises:
            RuntimeError: the window is not full.
            ValueError: `moment` is longer than there is room for.
        """
        if not self.full:
            raise RuntimeError(f"window has {self.row} of {self.spec.rows} rows")
        if len(agent_state) > self.spec.agent_state_bytes:
            raise ValueError(
                f"a moment of {len(agent_state)} bytes; room is {self.spec.agent_state_bytes}"
            )
        slot = self.filled % self.spec.slots
        self._file["metrics"][slot] = [metrics[name] for name in AGENT_METRICS]
        self._file["agent_state_size"][slot] = len(agent_state)
        self._file["agent_state"][slot, : len(agent_state)] = np.frombuffer(agent_state, np.uint8)
        self.filled += 1
        self._file["generation"][slot] = 2 * self.filled
        self._file["filled"][0] = self.filled
        self.row = 0
        self._open_slot()

    def _open_slot(self) -> None:
        self._file["generation"][self.filled % self.spec.slots] = 2 * self.filled + 1


class RolloutReader:
    """A reader's end, with its own cursor and its own count of dropped windows.

    Args:
        spec: the ring.
        cursor: number of the window to begin with; default: the first there ever was.
    """

    def __init__(self, spec: RolloutsSpec, cursor: int | None = None) -> None:
        self.spec = spec
        self._file = SharedFile(spec.path, spec.layout)
        self.cursor = int(self._file["first"][0]) if cursor is None else cursor
        """Number of the window that is read next."""
        self.dropped = 0
        """Windows that were overwritten before this reader had them."""
        self.agent_state = b""
        """The agent's own state, as the window read last had it."""

    def read_latest_state(self) -> None:
        """Take the agent's own state from the newest full window, read or not.

        Whoever goes on in the place of a dead reader has none of its own yet.
        """
        filled = int(self._file["filled"][0])
        slot, expected = (filled - 1) % self.spec.slots, 2 * filled
        if filled > int(self._file["first"][0]):
            agent_state = self._agent_state_in(slot)
            if int(self._file["generation"][slot]) == expected:
                self.agent_state = agent_state

    def _agent_state_in(self, slot: int) -> bytes:
        size = int(self._file["agent_state_size"][slot])
        agent_state: bytes = self._file["agent_state"][slot, :size].tobytes()
        return agent_state

    @property
    def unread(self) -> int:
        """How many completed windows wait, those already overwritten included."""
        return int(self._file["filled"][0]) - self.cursor

    def read(self) -> Rollout | None:
        """Copy the next window out, or return None where there is none yet."""
        while self.unread > 0:
            number = self.cursor
            self.cursor += 1
            slot = number % self.spec.slots
            expected = 2 * (number + 1)
            if int(self._file["generation"][slot]) == expected:
                steps = {key: self._copy(key, slot) for key in self.spec.shape.fields()}
                metrics = dict(
                    zip(AGENT_METRICS, self._file["metrics"][slot].tolist(), strict=True)
                )
                agent_state = self._agent_state_in(slot)
                if int(self._file["generation"][slot]) == expected:
                    self.agent_state = agent_state
                    return Rollout(number, steps, metrics)
            self.dropped += 1
        return None

    def _copy(self, key: str, slot: int) -> NDArray[np.generic]:
        rows: NDArray[np.generic] = self._file[key][slot]
        return rows.copy()
