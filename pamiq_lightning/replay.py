"""What each learner remembers, on TorchRL's replay buffers, and the batches of a training round.

Whoever drives a learner (the background loop, or Lightning's Trainer offline) takes its batches
from `training_round`, so that both train it in the same way.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Iterator
from typing import Protocol

import torch
from jaxtyping import Int
from tensordict import TensorDict
from torch import Tensor
from torchrl.data import LazyTensorStorage, TensorDictReplayBuffer
from torchrl.data.replay_buffers.samplers import RandomSampler, SamplerWithoutReplacement

from pamiq_lightning.learners.base import Learner, Memory
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


class RowReplay:
    """Single sound rows in a store of which, once full, each new row replaces a random old one.

    A new row is stored with probability p = min(1, (C / L)(ln C + 0.577)), L = survival * C being
    the expected number of rows that pass before every row of today is gone.
    """

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self._buffer = TensorDictReplayBuffer(
            storage=LazyTensorStorage(memory.capacity),
            sampler=RandomSampler(),
            batch_size=memory.batch_size,
        )
        C = memory.capacity
        self.keep_probability = min(1.0, (math.log(C) + _EULER_GAMMA) / memory.survival)

    def __len__(self) -> int:
        return len(self._buffer)

    def add(self, steps: TensorDict) -> None:
        """Append while there is room; then replace uniformly chosen rows."""
        sound = steps[steps["valid"]].exclude("valid")
        room = self.memory.capacity - len(self._buffer)
        if room > 0 and len(sound):
            self._buffer.extend(sound[:room])
        late = sound[room:] if room > 0 else sound
        late = late[torch.rand(len(late)) < self.keep_probability][: self.memory.capacity]
        if len(late):
            # Chosen without replacement, else two rows of one window could want the same place.
            places = torch.randperm(self.memory.capacity)[: len(late)]
            self._buffer[places] = late

    def batches(self, learner: Learner) -> Iterator[TensorDict]:
        """Yield `updates` uniform batches."""
        for _ in range(self.memory.updates if len(self._buffer) else 0):
            yield self._buffer.sample()


class SliceReplay:
    """Unbroken slices of the newest rows, none across a gap, a reset or an unsound row.

    Every possible start is equally likely. (TorchRL's SliceSampler draws a trace first, which would
    repeat the shortest scrap between two breaks as often as an hour without one.)
    """

    def __init__(self, memory: Memory) -> None:
        if memory.capacity < memory.length:
            raise ValueError(
                f"capacity {memory.capacity} cannot hold one slice of {memory.length} steps"
            )
        self.memory = memory
        self._buffer = TensorDictReplayBuffer(storage=LazyTensorStorage(memory.capacity))
        self._last: TensorDict | None = None
        # The newest trace, and how many rows were ever written: where the ring begins.
        self._trace = self._written = 0

    def add(self, steps: TensorDict) -> None:
        """Append the rows, numbered by trace."""
        if self._last is None:
            traces = trace_ids(steps)
        else:
            traces = trace_ids(torch.cat([self._last, steps]), self._trace)[1:]
        self._last, self._trace = steps[-1:], int(traces[-1])
        # TorchRL's buffer keeps a storage index of its own under this name.
        steps = steps.exclude("index")
        steps["trace"] = traces
        steps = steps[-self.memory.capacity :]
        self._buffer.extend(steps)
        self._written += len(steps)

    def _starts(self) -> tuple[Int[Tensor, " N"], Int[Tensor, " S"]]:
        """Return the places of all rows from old to new, and which of these can begin a slice."""
        oldest = max(0, self._written - self.memory.capacity)
        places = torch.arange(oldest, self._written) % self.memory.capacity
        rows = self._buffer[places].select("trace", "versions")
        span = self.memory.length - 1
        unbroken = rows["trace"][span:] == rows["trace"][: len(places) - span]
        version = rows["versions"][:, _ENCODER]
        # Versions only grow, so the first row of a slice is its oldest.
        fresh = version >= version.max() - self.memory.max_version_lag
        return places, (unbroken & fresh[: len(unbroken)]).nonzero()[:, 0]

    def batches(self, learner: Learner) -> Iterator[TensorDict]:
        """Yield `updates` batches (B, length); none while no trace is long enough."""
        if self._written < self.memory.length:
            return
        places, starts = self._starts()
        for _ in range(self.memory.updates if len(starts) else 0):
            chosen = starts[torch.randint(len(starts), (self.memory.batch_size, 1))]
            yield self._buffer[places[chosen + torch.arange(self.memory.length)]]


class WindowReplay:
    """Every new window once, whole, together with the last row of the window before it."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self._last: TensorDict | None = None
        self._new: list[TensorDict] = []
        self._buffer: TensorDictReplayBuffer | None = None
        self._capacity = 0

    def add(self, steps: TensorDict) -> None:
        """Put the window behind the last row of the one before."""
        self._new.append(steps if self._last is None else torch.cat([self._last, steps]))
        self._last = steps[-1:]

    def _filled(self, rows: TensorDict) -> TensorDictReplayBuffer:
        """Return the buffer with just these rows in it."""
        # One for all windows: each holds locks that only a full garbage collection frees.
        if self._buffer is None or self._capacity < len(rows):
            self._capacity = len(rows)
            self._buffer = TensorDictReplayBuffer(
                storage=LazyTensorStorage(self._capacity),
                sampler=SamplerWithoutReplacement(),
                batch_size=self.memory.batch_size,
            )
        self._buffer.empty()
        self._buffer.extend(rows)
        return self._buffer

    def batches(self, learner: Learner) -> Iterator[TensorDict]:
        """Yield minibatches without replacement, `updates` passes over each new window."""
        while self._new:
            rows = learner.prepare(self._new.pop(0))
            if not len(rows):
                continue
            buffer = self._filled(rows)
            for _ in range(self.memory.updates * math.ceil(len(rows) / self.memory.batch_size)):
                if learner.satisfied:
                    break
                yield buffer.sample()


def trace_ids(steps: TensorDict, first_id: int = 0) -> Int[Tensor, " N"]:
    """Number the unbroken traces of steps [N], so that no slice may cross from one to another.

    The first row belongs to trace `first_id`.
    """
    breaks = ~is_transition(steps)
    start = torch.zeros(1, dtype=torch.int64)
    return first_id + torch.cat([start, breaks.to(torch.int64).cumsum(0)])


def make_replay(memory: Memory) -> Replay:
    """Return the memory a learner asks for."""
    kinds: dict[str, type[RowReplay | SliceReplay | WindowReplay]] = {
        "rows": RowReplay,
        "slices": SliceReplay,
        "windows": WindowReplay,
    }
    replay: Replay = kinds[memory.kind](memory)
    return replay


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
    learner: Learner, replay: Replay, windows: Iterable[TensorDict]
) -> Iterator[TensorDict]:
    """Show the learner new windows, remember them, and yield the batches of one round.

    Raises:
        KeyError: a window lacks a key that the learner needs.
    """
    for steps in windows:
        # TorchRL's storages take what they are given: a missing key would leave stale memory.
        missing = set(learner.needs) - set(steps.keys())
        if missing:
            raise KeyError(f"{type(learner).__name__} needs {sorted(missing)}, not in these steps")
        # What no learner may read is not even shown.
        steps = _only_finite(steps.exclude("info"))
        learner.on_new_steps(steps)
        replay.add(steps.select(*{*learner.needs, "valid"}))
    yield from replay.batches(learner)
