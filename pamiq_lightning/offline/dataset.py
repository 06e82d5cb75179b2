"""One recording's steps, window by window, latents and states made anew from its frames."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from tensordict import TensorDict
from torch import Tensor

from pamiq_lightning.learners.dynamics import SioConvDynamics
from pamiq_lightning.learners.ijepa import IJEPA
from pamiq_lightning.nets.forward_dynamics import ForwardDynamics
from pamiq_lightning.nets.vit import LatentEncoder
from pamiq_lightning.offline.ahead import one_ahead
from pamiq_lightning.offline.eyes import FrozenEncoders
from pamiq_lightning.offline.frozen import fingerprint, from_checkpoint
from pamiq_lightning.offline.splits import Split, split
from pamiq_lightning.recording.reader import RecordingReader
from pamiq_lightning.step import ACTING_ROLES

CACHE = "cache"
"""Folder in a recording for what was made anew."""
HEAVY = ("frame", "latent", "state")
"""Keys that take long to read or to make: they come only where they are asked for."""
_FRAMES = 64
"""Frames encoded at once."""
_ENCODER, _DYNAMICS = ACTING_ROLES.index("encoder"), ACTING_ROLES.index("dynamics")


class RecordingDataset:
    """One recording.

    Latents are the given encoder's, states the given dynamics', or blank where none are given. Both
    are made once and kept on disk beside the recording, under a name that holds a hash of the
    checkpoints.

    Args:
        path: folder of a recording, or of the run it lies in.
        eyes: what makes latents and states.
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
        self.info_names = self._reader.spec.info_names
        self._rows = self._reader.spec.rollout_length
        seconds = elapsed(self._reader.column("time"), 1 / self._reader.spec.fps)
        self.split: Split = split(seconds)

    def __len__(self) -> int:
        return len(self._reader)

    @property
    def rollout_count(self) -> int:
        """How many windows there are."""
        return -(-len(self) // self._rows)

    def recompute(self, wanted: Collection[str]) -> None:
        """Make what is to be made anew at once, not when it is first asked for."""
        if "latent" in wanted:
            self.latents  # noqa: B018
        if "state" in wanted and self.frozen.dynamics:
            self.states  # noqa: B018

    def rollouts(
        self, rows: Bool[NDArray[np.bool_], " N"], wanted: Collection[str]
    ) -> Iterator[TensorDict]:
        """Yield the chosen rows of each window that has any.

        Rows left out are a jump of `index`, which no learner crosses. The next window is read while
        the caller is busy with the one before.

        Args:
            rows: which rows, of all in the recording.
            wanted: which of the keys in `HEAVY` are needed; all others come anyhow.
        """
        return one_ahead(self._rollouts(rows, wanted))

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
        # Made by one encoder, or one dynamics, so that no row is older than another.
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
        encoder = from_checkpoint(self.frozen.encoder, IJEPA)
        return self._kept(
            "latent", [self.frozen.encoder], lambda: self._encode(encoder.acting_module)
        )

    @cached_property
    def states(self) -> NDArray[np.float32]:
        """States (N, depth, dim) before each row, by the given dynamics."""
        assert self.frozen.dynamics is not None
        dynamics = from_checkpoint(self.frozen.dynamics, SioConvDynamics)
        made_from = [path for path in (self.frozen.encoder, self.frozen.dynamics) if path]
        return self._kept("state", made_from, lambda: self._remember(dynamics.net))

    def _kept(
        self, what: str, made_from: list[Path], make: Callable[[], Iterator[Tensor]]
    ) -> NDArray[np.float32]:
        """Return what lies in the cache, made now if it does not."""
        # A recording that is still growing, or lost its oldest episodes, has other rows next time.
        rows = f"{self._reader.episodes[0].files.number}-{len(self)}"
        path = self.folder / CACHE / f"{what}_{rows}_{fingerprint(*made_from)}.npy"
        if not path.is_file():
            print(f"making every {what} of {self.folder} anew, kept in {path.name}", flush=True)
            path.parent.mkdir(exist_ok=True)
            # Written beside and renamed: a half-made cache must not look like a whole one.
            staged = path.with_suffix(".part")
            kept, at = None, 0
            for part in make():
                if kept is None:
                    shape = (len(self), *part.shape[1:])
                    kept = np.lib.format.open_memmap(staged, "w+", np.float32, shape)
                kept[at : at + len(part)] = part.numpy()
                at += len(part)
            staged.replace(path)
        kept_rows: NDArray[np.float32] = np.load(path, mmap_mode="r")
        return kept_rows

    @torch.inference_mode()
    def _encode(self, encoder: LatentEncoder) -> Iterator[Tensor]:
        for steps in self.rollouts(np.ones(len(self), np.bool_), {"frame"}):
            yield torch.cat([encoder(some) for some in steps["frame"].split(_FRAMES)])

    @torch.inference_mode()
    def _remember(self, dynamics: ForwardDynamics) -> Iterator[Tensor]:
        """Yield the state before each row, blank where the mind began afresh."""
        blank = torch.zeros(1, *dynamics.state_shape)
        state, last = blank, None
        everything = np.ones(len(self), np.bool_)
        for steps in self.rollouts(everything, {"latent"}):
            fresh = steps["is_first"].clone()
            fresh[1:] |= steps["index"].diff() != 1
            fresh[0] |= last is None or int(steps["index"][0]) != last + 1
            last = int(steps["index"][-1])
            _, after = dynamics(steps["latent"][None], steps["action"][None], state, fresh[None])
            before = torch.cat([state, after[0, :-1]])
            before[fresh] = 0
            state = after[:, -1]
            yield before


def elapsed(time: Float[np.ndarray, " N"], period: float) -> Float[np.ndarray, " N"]:
    """Return seconds since the recording began, from monotonic times.

    Such a clock begins anew with the machine; a step back counts as one `period`.
    """
    passed = np.diff(time)
    passed[passed < 0] = period
    return np.concatenate([[0.0], passed.cumsum()])
