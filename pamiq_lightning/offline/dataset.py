"""One recording's steps, rollout by rollout; latents and states are recomputed from its frames."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from tensordict import TensorDict
from torch import Tensor

from pamiq_lightning.learners.roles import Dynamics, Encoder
from pamiq_lightning.offline.cache import cached_rows
from pamiq_lightning.offline.frozen import FrozenEncoders, fingerprint, from_checkpoint
from pamiq_lightning.offline.splits import Split, split
from pamiq_lightning.recording.reader import RecordingReader
from pamiq_lightning.step import ACTING_ROLES

HEAVY = ("frame", "latent", "state")
"""Keys that take long to read or to compute: they come only on request."""
_FRAMES = 64
"""Frames encoded at once."""
_ENCODER, _DYNAMICS = ACTING_ROLES.index("encoder"), ACTING_ROLES.index("dynamics")
T = TypeVar("T")


def prefetch(items: Iterator[T]) -> Iterator[T]:
    """Yield the items; a thread computes the next one while the caller uses the one before.

    What an item raises is raised where it would have been yielded.
    """
    end = object()
    with ThreadPoolExecutor(1, thread_name_prefix="prefetch") as thread:
        coming = thread.submit(next, items, end)
        while (item := coming.result()) is not end:
            coming = thread.submit(next, items, end)
            yield item  # type: ignore[misc]


class RecordingDataset:
    """One recording.

    Latents are the given encoder's; states are the given dynamics', or blank without any. Both are
    computed once and cached beside the recording, under a hash of the checkpoints.

    Args:
        path: folder of a recording, or of the run it lies in.
        frozen: checkpoints of the encoder and the dynamics.
        state_shape: (depth, dim) of blank states.

    Raises:
        RecordingError: the folder is not a recording, or is empty.
        CheckpointError: a checkpoint cannot be used.
    """

    def __init__(
        self, path: Path, frozen: FrozenEncoders, state_shape: tuple[int, ...] = ()
    ) -> None:
        self._reader = RecordingReader(path)
        self.folder, self.frozen, self._state_shape = self._reader.folder, frozen, state_shape
        self.spec = self._reader.spec
        self.info_names = self.spec.info_names
        self._rows = self.spec.rollout_length
        seconds = elapsed(self._reader.column("time"), 1 / self.spec.fps)
        self.split: Split = split(seconds)

    def __len__(self) -> int:
        return len(self._reader)

    @property
    def rollout_count(self) -> int:
        """Number of rollouts."""
        return -(-len(self) // self._rows)

    def recompute(self, wanted: Collection[str]) -> None:
        """Recompute latents and states now, not at their first use."""
        if "latent" in wanted:
            self.latents  # noqa: B018
        if "state" in wanted and self.frozen.dynamics:
            self.states  # noqa: B018

    def rollouts(
        self, rows: Bool[NDArray[np.bool_], " N"], wanted: Collection[str]
    ) -> Iterator[TensorDict]:
        """Yield the chosen rows of each rollout that has any; the next one is prefetched.

        Rows left out are a jump of `index`, which no learner crosses.

        Args:
            rows: which rows, of all in the recording.
            wanted: which of the keys in `HEAVY` are needed; all others always come.
        """
        return prefetch(self._rollouts(rows, wanted))

    def _rollouts(
        self, rows: Bool[NDArray[np.bool_], " N"], wanted: Collection[str]
    ) -> Iterator[TensorDict]:
        for start in range(0, len(self), self._rows):
            here = slice(start, min(start + self._rows, len(self)))
            chosen = np.flatnonzero(rows[here])
            if len(chosen):
                yield self._rollout(here, wanted)[torch.from_numpy(chosen)]

    def _rollout(self, here: slice, wanted: Collection[str]) -> TensorDict:
        unwanted = set(HEAVY) - set(wanted)
        stored = self._reader.read(here.start, here.stop, without=unwanted)
        rows = {key: torch.from_numpy(array) for key, array in stored.items()}
        # One encoder and one dynamics computed them all: no row is older than another.
        if "latent" in wanted:
            rows["latent"] = torch.from_numpy(self.latents[here].copy())
            rows["versions"][:, _ENCODER] = 0
        if "state" in wanted:
            if self.frozen.dynamics:
                rows["state"] = torch.from_numpy(self.states[here].copy())
            else:
                rows["state"] = torch.zeros(here.stop - here.start, *self._state_shape)
            rows["versions"][:, _DYNAMICS] = 0
        return TensorDict(rows, [here.stop - here.start])

    @cached_property
    def latents(self) -> NDArray[np.float32]:
        """Latents (N, P, D) of all rows by the given encoder."""
        assert self.frozen.encoder is not None
        encoder = from_checkpoint(self.frozen.encoder, Encoder)
        return self._cached("latent", [self.frozen.encoder], lambda: self._compute_latents(encoder))

    @cached_property
    def states(self) -> NDArray[np.float32]:
        """States (N, depth, dim) before each row, by the given dynamics."""
        assert self.frozen.dynamics is not None
        dynamics = from_checkpoint(self.frozen.dynamics, Dynamics)
        made_from = [path for path in (self.frozen.encoder, self.frozen.dynamics) if path]
        return self._cached("state", made_from, lambda: self._compute_states(dynamics))

    def _cached(
        self, what: str, made_from: list[Path], compute: Callable[[], Iterator[Tensor]]
    ) -> NDArray[np.float32]:
        """Return the rows in the cache, computed now if they are not there."""
        # A recording that is still growing, or lost its oldest episodes, has other rows next time.
        rows = f"{self._reader.episodes[0].files.number}-{len(self)}"
        name = f"{rows}_{fingerprint(*made_from)}"
        return cached_rows(self.folder, what, name, len(self), compute)

    @torch.inference_mode()
    def _compute_latents(self, encoder: Encoder) -> Iterator[Tensor]:
        for steps in self.rollouts(np.ones(len(self), np.bool_), {"frame"}):
            yield torch.cat([encoder.encode(some) for some in steps["frame"].split(_FRAMES)])

    @torch.inference_mode()
    def _compute_states(self, dynamics: Dynamics) -> Iterator[Tensor]:
        """Yield the states before the rows of each rollout; blank at first rows and after gaps."""
        state, last = torch.zeros(1, *dynamics.state_shape), None
        for steps in self.rollouts(np.ones(len(self), np.bool_), {"latent"}):
            first = steps["is_first"].clone()
            first[1:] |= steps["index"].diff() != 1
            first[0] |= last is None or int(steps["index"][0]) != last + 1
            last = int(steps["index"][-1])
            _, after = dynamics.forward(
                steps["latent"][None], steps["action"][None], state, first[None]
            )
            before = torch.cat([state, after[0, :-1]])
            before[first] = 0
            state = after[:, -1]
            yield before


def elapsed(time: Float[np.ndarray, " N"], period: float) -> Float[np.ndarray, " N"]:
    """Return seconds since the recording began, from monotonic times.

    Such a clock restarts with the machine; a step back counts as one `period`.
    """
    passed = np.diff(time)
    passed[passed < 0] = period
    return np.concatenate([[0.0], passed.cumsum()])
