"""Rollouts, agent -> trainer: a ring in shared memory that the agent fills in place.

A rollout is N rows of `pamiq_lightning.step`. A reader copies a rollout out; if the agent overwrote
it meanwhile, the copy is discarded and the rollout counted as dropped. Every reader (trainer,
recorder) has its own cursor.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pamiq_lightning.exchange.shared_memory import (
    Layout,
    SharedFile,
    SlotRing,
    array_bytes,
    file_bytes,
    layout,
)
from pamiq_lightning.step import StepShape

if TYPE_CHECKING:
    from tensordict import TensorDict

SLOTS = 8
AGENT_METRICS = ("ticks", "rate_hz", "missed_ticks", "tick_ms_p50", "tick_ms_p99", "latency_ms_p99")
"""The agent's metrics that travel with each rollout to the trainer, which alone logs."""


@dataclass(frozen=True)
class RolloutsSpec:
    """Everything a process needs to open the ring: picklable."""

    path: Path
    shape: StepShape
    rows: int
    slots: int = SLOTS
    agent_states: int = 4
    """How many latents and recurrent states the agent's own state may hold."""
    reward_state_bytes: int = 0
    """Room for the state of the agent's intrinsic rewards."""

    @property
    def agent_state_bytes(self) -> int:
        """Room for the agent's own state; metrics and RNG state take a few tens of kB of it."""
        fields = self.shape.fields()
        size = sum(array_bytes(fields[k].shape, np.dtype(np.float32)) for k in ("latent", "state"))
        return self.agent_states * size + self.reward_state_bytes + (256 << 10)

    @property
    def layout(self) -> Layout:
        """The arrays of the file."""
        rows = [
            (name, (self.slots, self.rows, *field.shape), field.dtype)
            for name, field in self.shape.fields().items()
        ]
        return layout(
            [
                *SlotRing.fields(self.slots),
                ("first", (1,), np.int64),
                ("agent_state_size", (self.slots,), np.int64),
                ("agent_state", (self.slots, self.agent_state_bytes), np.uint8),
                ("metrics", (self.slots, len(AGENT_METRICS)), np.float64),
                *rows,
            ]
        )

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return file_bytes(self.layout)


@dataclass(frozen=True)
class Rollout:
    """One rollout, copied out of the ring.

    Attributes:
        number: counts from 0; a jump means that rollouts are missing.
        steps: arrays of N rows.
        metrics: the agent's metrics, `AGENT_METRICS`.
    """

    number: int
    steps: dict[str, NDArray[np.generic]]
    metrics: dict[str, float]

    def to_tensordict(self) -> TensorDict:
        """Return the steps as a TensorDict [N] over the same memory."""
        # Imported here: the recorder's process uses this module and needs no torch.
        import torch
        from tensordict import TensorDict

        rows = {key: torch.from_numpy(array) for key, array in self.steps.items()}
        return TensorDict(rows, [len(self.steps["index"])])


class RolloutWriter:
    """The agent's end. Writing a row costs one copy and never blocks.

    Args:
        spec: the ring to create.
        first: number of the first rollout.
    """

    def __init__(self, spec: RolloutsSpec, first: int = 0) -> None:
        self.spec = spec
        self._file = SharedFile(spec.path, spec.layout, create=True)
        self._ring = SlotRing(self._file)
        self._keys = tuple(spec.shape.fields())
        self.filled = first
        """Number of the rollout being written: one more than the number of the last full one."""
        self._file["first"][0] = self._file["filled"][0] = first
        self.row = 0
        """The row of the current rollout that is written next."""
        self._newest: tuple[int, int] | None = None
        self._slot = self._ring.open(first)

    def write(self, row: Mapping[str, ArrayLike]) -> None:
        """Copy one row into the current rollout.

        Raises:
            KeyError: a key of the schema is missing.
        """
        for key in self._keys:
            self._file[key][self._slot, self.row] = row[key]
        self._newest = (self._slot, self.row)
        self.row += 1

    def newest(self) -> dict[str, NDArray[np.generic]] | None:
        """Return a copy of the newest row; None before the first.

        Any thread of the agent may call it: the row is not overwritten for several rollouts.
        """
        # Read once, because another thread may write the next row meanwhile.
        index = self._newest
        if index is None:
            return None
        return {key: self._file[key][index].copy() for key in self._keys}

    @property
    def full(self) -> bool:
        """Whether the current rollout has all its rows."""
        return self.row == self.spec.rows

    def commit(self, metrics: Mapping[str, float], agent_state: bytes = b"") -> None:
        """Hand the full rollout to the readers and open the next slot.

        Args:
            metrics: `AGENT_METRICS`.
            agent_state: the agent's own state, for checkpoints.

        Raises:
            RuntimeError: the rollout is not full.
            ValueError: `agent_state` is too long.
        """
        if not self.full:
            raise RuntimeError(f"rollout has {self.row} of {self.spec.rows} rows")
        if len(agent_state) > self.spec.agent_state_bytes:
            raise ValueError(
                f"agent state has {len(agent_state)} bytes; room is {self.spec.agent_state_bytes}"
            )
        slot = self._slot
        self._file["metrics"][slot] = [metrics[name] for name in AGENT_METRICS]
        self._file["agent_state_size"][slot] = len(agent_state)
        self._file["agent_state"][slot, : len(agent_state)] = np.frombuffer(agent_state, np.uint8)
        self._ring.commit(self.filled)
        self.filled += 1
        self.row = 0
        self._slot = self._ring.open(self.filled)


class RolloutReader:
    """A reader's end, with its own cursor and its own count of dropped rollouts.

    Args:
        spec: the ring.
        cursor: number of the rollout to read first; default: the first of the run.
    """

    def __init__(self, spec: RolloutsSpec, cursor: int | None = None) -> None:
        self.spec = spec
        self._file = SharedFile(spec.path, spec.layout)
        self._ring = SlotRing(self._file)
        self.cursor = int(self._file["first"][0]) if cursor is None else cursor
        """Number of the rollout that is read next."""
        self.dropped = 0
        """Rollouts overwritten before this reader had read them."""
        self.agent_state = b""
        """The agent's own state at the end of the rollout read last."""

    def read_latest_state(self) -> None:
        """Read the agent's own state from the newest full rollout, even if it was read before.

        A reader that replaces a dead one has no state of its own yet.
        """
        filled = self._ring.filled
        if filled > int(self._file["first"][0]):
            agent_state = self._ring.read(filled - 1, self._copy_agent_state)
            if agent_state is not None:
                self.agent_state = agent_state

    @property
    def unread(self) -> int:
        """Number of full rollouts not read yet, including overwritten ones."""
        return self._ring.filled - self.cursor

    def read(self) -> Rollout | None:
        """Copy the next rollout out; return None if there is none yet."""
        while self.unread > 0:
            number = self.cursor
            self.cursor += 1
            item = self._ring.read(number, self._copy)
            if item is not None:
                steps, metrics, self.agent_state = item
                return Rollout(number, steps, metrics)
            self.dropped += 1
        return None

    def _copy(self, slot: int) -> tuple[dict[str, NDArray[np.generic]], dict[str, float], bytes]:
        steps = {key: self._file[key][slot].copy() for key in self.spec.shape.fields()}
        metrics = dict(zip(AGENT_METRICS, self._file["metrics"][slot].tolist(), strict=True))
        return steps, metrics, self._copy_agent_state(slot)

    def _copy_agent_state(self, slot: int) -> bytes:
        size = int(self._file["agent_state_size"][slot])
        return bytes(self._file["agent_state"][slot, :size].tobytes())
