"""What each learner remembers, on TorchRL's replay buffers, and the batches of a training round.

Whoever drives a learner (the background loop, or Lightning's Trainer offline) takes its batches
from `training_round`, so that both train it in the same way.
"""

from __future__ import annotations

import errno
import logging
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from jaxtyping import Bool, Int
from tensordict import TensorDict
from torch import Tensor
from torchrl.data.replay_buffers.samplers import RandomSampler

from pamiq_lightning.learners.base import Learner, ReplaySpec
from pamiq_lightning.replay.memmap import Field as RowField
from pamiq_lightning.replay.memmap import MemmapRows
from pamiq_lightning.replay.on_policy import OnPolicyReplay, check_memory
from pamiq_lightning.replay.storage import Store
from pamiq_lightning.step import ACTING_ROLES, is_transition

# It tells of every storage it makes.
logging.getLogger("torchrl").setLevel(logging.WARNING)

_ENCODER = ACTING_ROLES.index("encoder")
_EULER_GAMMA = 0.577


class Replay(Protocol):
    """One learner's memory."""

    def add(self, steps: TensorDict) -> None:
        """Remember a window [N]; its keys were checked by `training_round`."""
        ...

    def batches(self, learner: Learner) -> Iterator[TensorDict]:
        """Yield the batches of one training round; none if there is nothing to train on yet."""
        ...

    def flush(self) -> None:
        """Return when the rows in files are on the disk.

        Raises:
            OSError: the disk refuses.
        """
        ...

    def state(self) -> dict[str, Any]:
        """Return plain values and tensors that, with the rows, say where this memory stands."""
        ...

    def restore(self, state: dict[str, Any]) -> str | None:
        """Stand where `state` says, the rows being in the files this memory was made with.

        Returns:
            What of it is lost, in words, or None.

        Raises:
            KeyError, ValueError: it is the state of another memory.
        """
        ...


class UniformReplay:
    """Single sound rows in a store of which, once full, each new row replaces a random old one.

    A new row is stored with probability p = min(1, (C / L)(ln C + 0.577)), L = turnover * C being
    the expected number of rows that pass before every row of today is gone.

    Attributes:
        damaged: rows that were left out because they did not have their checksum.

    Args:
        memory: how much it remembers, and what a round takes of it.
        rows: the files to keep the rows in; default: in memory alone.
    """

    def __init__(self, spec: ReplaySpec, rows: MemmapRows | None = None) -> None:
        self.spec = spec
        self._store = Store(
            spec.capacity, rows, sampler=RandomSampler(), batch_size=spec.batch_size
        )
        self._buffer = self._store.buffer
        self.damaged = 0
        C = spec.capacity
        self.keep_probability = min(1.0, (math.log(C) + _EULER_GAMMA) / spec.turnover)

    def __len__(self) -> int:
        return len(self._buffer)

    def add(self, steps: TensorDict) -> None:
        """Append while there is room; then replace uniformly chosen rows."""
        sound = steps[steps["valid"]]
        numbers, sound = sound["index"], sound.exclude("valid", "index")
        # Below 0 where the disk has no room even for what is there.
        room = max(0, self._store.room(len(sound)))
        if room > 0:
            self._store.extend(sound[:room], numbers[:room])
        chosen = torch.rand(len(sound) - room) < self.keep_probability
        late, numbers = sound[room:][chosen], numbers[room:][chosen]
        # Chosen without replacement, else two rows of one window could want the same place.
        if len(late):
            indices = torch.randperm(len(self))[: len(late)]
            self._store.put(indices, late[: len(indices)], numbers[: len(indices)])

    def batches(self, learner: Learner) -> Iterator[TensorDict]:
        """Yield `updates` uniform batches."""
        for _ in range(self.spec.updates if len(self) else 0):
            batch = self._sample()
            if batch is not None:
                yield batch

    def _sample(self) -> TensorDict | None:
        """Return a batch of sound rows; None if none is left."""
        while len(self):
            batch: TensorDict = self._buffer.sample()
            rows = self._store.rows
            if rows is None:
                return batch
            indices = batch["index"]
            corrupt = indices[torch.from_numpy(~rows.valid(indices))].unique()
            if not len(corrupt):
                return batch
            self._leave_out(corrupt)
        return None

    def _leave_out(self, indices: Int[Tensor, " n"]) -> None:
        """Close the gaps that these rows leave with the last ones."""
        rows = self._store.rows
        assert rows is not None
        length = len(self)
        for index in sorted(indices.tolist(), reverse=True):
            length -= 1
            if index != length:
                rows.move(length, index)
        self.damaged += len(indices)
        self._store.set_cursor(length, length)

    def flush(self) -> None:
        """Return when all rows are on the disk."""
        self._store.flush()

    def state(self) -> dict[str, Any]:
        """Return how many rows there are."""
        return {"kind": self.spec.kind, "capacity": self.spec.capacity, "length": len(self)}

    def restore(self, state: dict[str, Any]) -> str | None:
        """Take up the rows; those a crash or a disk spoiled are left out when they are met."""
        check_memory(state, self.spec)
        rows = _rows_of(self._store)
        length = int(state["length"])
        rows.allocate(length)
        self._store.set_cursor(length, length % self.spec.capacity)
        if not rows.damaged:
            return None
        indices = torch.arange(length)
        self._leave_out(indices[torch.from_numpy(~rows.valid(indices))])
        return f"{'; '.join(rows.damaged)}: {self.damaged} of {length} rows are lost"


class SequenceReplay:
    """Unbroken slices of the newest rows, none across a gap, a reset or an unsound row.

    Every possible start is equally likely. (TorchRL's SliceSampler draws a trace first, which would
    repeat the shortest scrap between two breaks as often as an hour without one.)

    Args:
        memory: how much it remembers, and what a round takes of it.
        rows: the files to keep the rows in; default: in memory alone.

    Raises:
        OSError: there is no room for the files.
    """

    def __init__(self, spec: ReplaySpec, rows: MemmapRows | None = None) -> None:
        if spec.capacity < spec.length:
            raise ValueError(
                f"capacity {spec.capacity} cannot hold one slice of {spec.length} steps"
            )
        self.spec = spec
        self._store = Store(spec.capacity, rows)
        self._buffer = self._store.buffer
        if rows is not None and rows.allocate(spec.capacity) < spec.capacity:
            raise OSError(errno.ENOSPC, "no room on the disk for the newest steps")
        self._last: TensorDict | None = None
        # The newest trace, and how many rows were ever written: where the ring begins.
        self._trace = self._written = 0
        self._newest = -1

    def add(self, steps: TensorDict) -> None:
        """Append the rows, numbered by trace."""
        if self._last is None:
            traces = trace_ids(steps, self._trace)
        else:
            traces = trace_ids(torch.cat([self._last, steps]), self._trace)[1:]
        self._last, self._trace = steps[-1:].clone(), int(traces[-1])
        numbers, steps = steps["index"], steps.exclude("index")
        self._newest = int(numbers[-1])
        steps["trace"] = traces
        steps, numbers = steps[-self.spec.capacity :], numbers[-self.spec.capacity :]
        self._store.extend(steps, numbers)
        self._written += len(steps)

    def _indices(self) -> Int[Tensor, " N"]:
        """Return the places of all rows from old to new."""
        oldest = max(0, self._written - self.spec.capacity)
        return torch.arange(oldest, self._written) % self.spec.capacity

    def _starts(self) -> tuple[Int[Tensor, " N"], Int[Tensor, " S"]]:
        """Return the places of all rows from old to new, and which of these can begin a slice."""
        indices = self._indices()
        rows = self._buffer[indices].select("trace", "versions")
        span = self.spec.length - 1
        unbroken = rows["trace"][span:] == rows["trace"][: len(indices) - span]
        version = rows["versions"][:, _ENCODER]
        # Versions only grow, so the first row of a slice is its oldest.
        fresh = version >= version.max() - self.spec.max_version_lag
        return indices, (unbroken & fresh[: len(unbroken)]).nonzero()[:, 0]

    def batches(self, learner: Learner) -> Iterator[TensorDict]:
        """Yield `updates` batches (B, length); none while no trace is long enough."""
        if self._written < self.spec.length:
            return
        indices, starts = self._starts()
        for _ in range(self.spec.updates if len(starts) else 0):
            chosen = starts[torch.randint(len(starts), (self.spec.batch_size, 1))]
            yield self._buffer[indices[chosen + torch.arange(self.spec.length)]]

    def flush(self) -> None:
        """Return when all rows are on the disk."""
        self._store.flush()

    def state(self) -> dict[str, Any]:
        """Return how many rows were written, the newest one's number, and the newest whole."""
        return {
            "kind": self.spec.kind,
            "capacity": self.spec.capacity,
            "written": self._written,
            "newest": self._newest,
            "last": None if self._last is None else self._last.to_dict(),
        }

    def restore(self, state: dict[str, Any]) -> str | None:
        """Take up the ring; a row that is spoiled, or newer than `state`, breaks its trace."""
        check_memory(state, self.spec)
        rows = _rows_of(self._store)
        self._written, self._newest = int(state["written"]), int(state["newest"])
        self._last = None if state["last"] is None else TensorDict(state["last"], [1])
        capacity = self.spec.capacity
        self._store.set_cursor(min(self._written, capacity), self._written % capacity)
        if not self._written:
            return None
        indices = self._indices()
        sound = torch.from_numpy(rows.valid(indices))
        unfit = ~sound | (torch.from_numpy(rows.numbers)[indices] > self._newest)
        if unfit.any():
            _break_traces(rows, indices, unfit)
        self._trace = int(rows.tensors["trace"][indices[-1]])
        if unfit[-1]:
            # What comes next must not be joined to it.
            self._last, self._trace = None, self._trace + 1
        lost = int((~sound).sum())
        if not lost:
            return None
        why = rows.damaged or ["rows do not have their checksum"]
        return f"{'; '.join(why)}: {lost} of {len(indices)} rows are lost"


def _break_traces(rows: MemmapRows, indices: Int[Tensor, " N"], unfit: Bool[Tensor, " N"]) -> None:
    """Number the traces of rows, from old to new, anew, so that none holds an unfit row."""
    trace = rows.tensors["trace"][indices]
    breaks = (trace[1:] != trace[:-1]) | unfit[1:] | unfit[:-1]
    traces = torch.cat([torch.zeros(1, dtype=torch.int64), breaks.to(torch.int64).cumsum(0)])
    numbers = torch.from_numpy(rows.numbers)[indices]
    numbers[unfit] = -1
    # One after the other: whoever is killed in the middle of this leaves one row unsealed at most.
    for n in range(len(indices)):
        index = indices[n : n + 1]
        rows.tensors["trace"][index] = traces[n : n + 1]
        if unfit[n]:
            rows.tensors["versions"][index] = 0
        rows.write_checksum(index, numbers[n : n + 1])


def trace_ids(steps: TensorDict, first_id: int = 0) -> Int[Tensor, " N"]:
    """Number the unbroken traces of steps [N], so that no slice may cross from one to another.

    The first row belongs to trace `first_id`.
    """
    breaks = ~is_transition(steps)
    start = torch.zeros(1, dtype=torch.int64)
    return first_id + torch.cat([start, breaks.to(torch.int64).cumsum(0)])


def make_replay(
    spec: ReplaySpec, folder: Path | None = None, fields: Mapping[str, RowField] | None = None
) -> Replay:
    """Return the memory a learner asks for.

    Args:
        memory: what it asks for.
        folder: where its rows are kept in files; default: they are in memory alone.
        fields: shape and type of each key of a row; needed with `folder`.

    Raises:
        OSError: there is no room for the files.
    """
    if spec.kind == "on_policy":
        return OnPolicyReplay(spec)
    rows = None
    if folder is not None:
        assert fields is not None
        kept = {key: field for key, field in fields.items() if key not in ("index", "valid")}
        if spec.kind == "sequence":
            kept |= {"trace": ((), np.int64), "valid": ((), np.bool_)}
        rows = MemmapRows(folder, spec.capacity, kept)
    return UniformReplay(spec, rows) if spec.kind == "uniform" else SequenceReplay(spec, rows)


def _rows_of(store: Store) -> MemmapRows:
    """Return the files of a memory that is to be restored."""
    if store.rows is None:
        raise ValueError("a memory without files cannot be restored")
    return store.rows


def _only_finite(steps: TensorDict) -> TensorDict:
    """Mark rows with a number that is not finite as invalid, and blank those numbers."""
    steps, sound = steps.copy(), steps["valid"].clone()
    for key, value in steps.items():
        if value.is_floating_point():
            sound &= value.flatten(1).isfinite().all(1) if value.ndim > 1 else value.isfinite()
            steps[key] = value.nan_to_num(0.0, 0.0, 0.0)
    steps["valid"] = sound
    return steps


def training_round(
    learner: Learner, replay: Replay, rollouts: Iterable[TensorDict]
) -> Iterator[TensorDict]:
    """Show the learner new windows, remember them, and yield the batches of one round.

    Raises:
        KeyError: a window lacks a key that the learner needs.
    """
    for steps in rollouts:
        # TorchRL's storages take what they are given: a missing key would leave stale memory.
        missing = set(learner.required_keys) - set(steps.keys())
        if missing:
            raise KeyError(f"{type(learner).__name__} needs {sorted(missing)}, not in these steps")
        # What no learner may read is not even shown.
        steps = _only_finite(steps.exclude("info"))
        learner.on_rollout(steps)
        replay.add(steps.select(*{*learner.required_keys, "valid", "index"}))
    yield from replay.batches(learner)
