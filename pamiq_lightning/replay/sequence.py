"""Sequence replay: unbroken sequences of the newest rows."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from jaxtyping import Bool, Int
from tensordict import TensorDict
from torch import Tensor

from pamiq_lightning.learners.base import Learner, ReplaySpec
from pamiq_lightning.replay.base import check_same_spec
from pamiq_lightning.replay.memmap import MemmapRows, RowStorage
from pamiq_lightning.step import ACTING_ROLES, is_transition

_ENCODER = ACTING_ROLES.index("encoder")


class SequenceReplay:
    """A ring of the newest rows, sampled as sequences without a gap, reset or invalid row.

    Every possible start is equally likely. (TorchRL's SliceSampler draws a trajectory first, which
    repeats the shortest trajectory as often as one of an hour.)

    Args:
        spec: capacity, length of a sequence, batch size, updates of a round.
        rows: the files of the rows; default: the rows are in memory alone.

    Raises:
        OSError: the disk has no room for the files.
        ValueError: the capacity is less than one sequence.
    """

    def __init__(self, spec: ReplaySpec, rows: MemmapRows | None = None) -> None:
        if spec.capacity < spec.length:
            raise ValueError(
                f"capacity {spec.capacity} cannot hold one sequence of {spec.length} steps"
            )
        self.spec, self.rows = spec, rows
        self._storage = RowStorage(spec.capacity, rows)
        self._buffer = self._storage.buffer
        if rows is not None and rows.allocate(spec.capacity) < spec.capacity:
            raise OSError(errno.ENOSPC, "no room on the disk for the newest steps")
        self._last: TensorDict | None = None
        # The newest trajectory, and how many rows were ever written: where the ring begins.
        self._trajectory = self._written = 0
        self._last_tick = -1

    def extend(self, steps: TensorDict) -> None:
        """Append a rollout [N], its rows numbered by trajectory."""
        if self._last is None:
            trajectories = trajectory_ids(steps, self._trajectory)
        else:
            joined = torch.cat([self._last, steps])
            trajectories = trajectory_ids(joined, self._trajectory)[1:]
        self._last, self._trajectory = steps[-1:].clone(), int(trajectories[-1])
        ticks, steps = steps["index"], steps.exclude("index")
        self._last_tick = int(ticks[-1])
        steps["trajectory"] = trajectories
        steps, ticks = steps[-self.spec.capacity :], ticks[-self.spec.capacity :]
        self._storage.append(steps, ticks)
        self._written += len(steps)

    def _indices(self) -> Int[Tensor, " N"]:
        """Return the indices of all rows from old to new."""
        oldest = max(0, self._written - self.spec.capacity)
        return torch.arange(oldest, self._written) % self.spec.capacity

    def _starts(self) -> tuple[Int[Tensor, " N"], Int[Tensor, " S"]]:
        """Return the indices of all rows from old to new, and which of them start a sequence."""
        indices = self._indices()
        rows = self._buffer[indices].select("trajectory", "versions")
        span = self.spec.length - 1
        unbroken = rows["trajectory"][span:] == rows["trajectory"][: len(indices) - span]
        version = rows["versions"][:, _ENCODER]
        # Versions only grow: the first row of a sequence has the oldest.
        recent = version >= version.max() - self.spec.max_version_lag
        return indices, (unbroken & recent[: len(unbroken)]).nonzero()[:, 0]

    def batches(self, learner: Learner) -> Iterator[TensorDict]:
        """Yield `updates` batches (B, length); none while no trajectory is long enough."""
        if self._written < self.spec.length:
            return
        indices, starts = self._starts()
        for _ in range(self.spec.updates if len(starts) else 0):
            chosen = starts[torch.randint(len(starts), (self.spec.batch_size, 1))]
            yield self._buffer[indices[chosen + torch.arange(self.spec.length)]]

    def flush(self) -> None:
        """Write all rows to the disk."""
        if self.rows is not None:
            self.rows.flush()

    def state_dict(self) -> dict[str, Any]:
        """Return how many rows were written, the newest tick, and the newest row."""
        return {
            "kind": self.spec.kind,
            "capacity": self.spec.capacity,
            "written": self._written,
            "last_tick": self._last_tick,
            "last": None if self._last is None else self._last.to_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> str | None:
        """Restore the ring; a row that is damaged, or newer than `state`, ends its trajectory."""
        check_same_spec(state, self.spec)
        rows = self._storage.files()
        self._written, self._last_tick = int(state["written"]), int(state["last_tick"])
        self._last = None if state["last"] is None else TensorDict(state["last"], [1])
        capacity = self.spec.capacity
        self._storage.set_cursor(min(self._written, capacity), self._written % capacity)
        if not self._written:
            return None
        indices = self._indices()
        damaged = torch.from_numpy(~rows.valid(indices))
        unfit = damaged | (torch.from_numpy(rows.ticks)[indices] > self._last_tick)
        if unfit.any():
            _split_trajectories(rows, indices, unfit)
        self._trajectory = int(rows.tensors["trajectory"][indices[-1]])
        if unfit[-1]:
            # The next rollout must not continue it.
            self._last, self._trajectory = None, self._trajectory + 1
        lost = int(damaged.sum())
        if not lost:
            return None
        why = rows.problems or ["rows do not have their checksum"]
        return f"{'; '.join(why)}: {lost} of {len(indices)} rows are lost"


def _split_trajectories(
    rows: MemmapRows, indices: Int[Tensor, " N"], unfit: Bool[Tensor, " N"]
) -> None:
    """Renumber the trajectories of rows, from old to new, so that each unfit row is alone."""
    trajectory = rows.tensors["trajectory"][indices]
    breaks = (trajectory[1:] != trajectory[:-1]) | unfit[1:] | unfit[:-1]
    trajectories = _cumulative(breaks)
    ticks = torch.from_numpy(rows.ticks)[indices]
    ticks[unfit] = -1
    # Row by row: a kill in the middle leaves at most one row without its checksum.
    for n in range(len(indices)):
        index = indices[n : n + 1]
        rows.tensors["trajectory"][index] = trajectories[n : n + 1]
        if unfit[n]:
            rows.tensors["versions"][index] = 0
        rows.write_checksum(index, ticks[n : n + 1])


def trajectory_ids(steps: TensorDict, first_id: int = 0) -> Int[Tensor, " N"]:
    """Number the unbroken trajectories of steps [N]; the first row has number `first_id`."""
    return first_id + _cumulative(~is_transition(steps))


def _cumulative(breaks: Bool[Tensor, " M"]) -> Int[Tensor, " N"]:
    """Return how many breaks precede each of N = M + 1 rows."""
    return torch.nn.functional.pad(breaks.to(torch.int64).cumsum(0), (1, 0))
