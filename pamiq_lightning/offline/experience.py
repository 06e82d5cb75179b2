"""One recording's steps, window by window, latents and states made anew where that is asked."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool
from numpy.typing import NDArray
from tensordict import TensorDict
from torch import Tensor

from pamiq_lightning.learners.dynamics import Dynamics
from pamiq_lightning.learners.ijepa import IJEPA
from pamiq_lightning.nets.forward_dynamics import ForwardDynamics
from pamiq_lightning.nets.vit import LatentEncoder
from pamiq_lightning.offline.files import (
    find_recording,
    read_description,
    read_window,
    window_files,
)
from pamiq_lightning.offline.frozen import fingerprint, from_checkpoint
from pamiq_lightning.offline.held_out import Split, split
from pamiq_lightning.step import ACTING_ROLES

CACHE = "cache"
"""Folder in a recording for what was made anew."""
_FRAMES = 64
"""Frames encoded at once."""
_ENCODER, _DYNAMICS = ACTING_ROLES.index("encoder"), ACTING_ROLES.index("dynamics")


@dataclass(frozen=True)
class Eyes:
    """Checkpoints that latents and states are made anew with; None keeps what was stored."""

    encoder: Path | None = None
    dynamics: Path | None = None


class Experience:
    """One recording.

    With an encoder, latents are its; states are then those of the dynamics given, or blank where
    none is: the stored ones belong to other latents. Both are made once and kept on disk beside the
    recording, under a name that holds a hash of the checkpoints.

    Args:
        path: folder of a recording, or of the run it lies in.
        eyes: what makes latents and states anew.
        state_shape: (depth, dim) of blank states; default: that of the stored ones.

    Raises:
        RecordingError: the folder is not a recording, or is empty.
        CheckpointError: a checkpoint cannot be used.
    """

    def __init__(self, path: Path, eyes: Eyes, state_shape: tuple[int, ...] | None = None) -> None:
        self.folder, self.eyes, self._state_shape = find_recording(path), eyes, state_shape
        self.info_names = tuple(read_description(self.folder).get("info_names", ()))
        self.files = window_files(self.folder)
        read = [read_window(file, {"time"})["time"] for file in self.files]
        self._starts = np.cumsum([0, *map(len, read)])
        time = np.concatenate(read)
        self.split: Split = split(time - time[0])

    def __len__(self) -> int:
        return len(self.split.minute)

    def make_anew(self) -> None:
        """Make what is to be made anew at once, not when it is first asked for."""
        if self.eyes.encoder:
            self.latents  # noqa: B018
        if self.eyes.dynamics:
            self.states  # noqa: B018

    def windows(
        self, rows: Bool[NDArray[np.bool_], " N"], without: Collection[str] = ()
    ) -> Iterator[TensorDict]:
        """Yield the chosen rows of each window that has any.

        Rows left out are a jump of `index`, which no learner crosses.

        Args:
            rows: which rows, of all in the recording.
            without: keys not needed; frames are most of the time it takes to read a window.
        """
        for number, file in enumerate(self.files):
            here = slice(int(self._starts[number]), int(self._starts[number + 1]))
            chosen = np.flatnonzero(rows[here])
            if len(chosen):
                yield self._window(file, here, without)[torch.from_numpy(chosen)]

    def _window(self, file: Path, here: slice, without: Collection[str]) -> TensorDict:
        rows: dict[str, Tensor] = {}
        if self.eyes.encoder:
            rows["latent"] = torch.from_numpy(self.latents[here].copy())
        # Where states are being made, there are none to ask for.
        if "state" in without:
            pass
        elif self.eyes.dynamics:
            rows["state"] = torch.from_numpy(self.states[here].copy())
        elif self.eyes.encoder:
            shape = self._state_shape or tuple(read_description(self.folder)["state"])
            rows["state"] = torch.zeros(here.stop - here.start, *shape)
        stored = read_window(file, without={*without, *rows})
        rows |= {key: torch.from_numpy(array) for key, array in stored.items()}
        # Made by one encoder, or one dynamics, so that no row is older than another.
        for given, column in ((self.eyes.encoder, _ENCODER), (self.eyes.dynamics, _DYNAMICS)):
            if given:
                rows["versions"][:, column] = 0
        return TensorDict(rows, [here.stop - here.start])

    @cached_property
    def latents(self) -> NDArray[np.float32]:
        """Latents (N, P, D) of all rows by the given encoder."""
        assert self.eyes.encoder is not None
        encoder = from_checkpoint(self.eyes.encoder, IJEPA)
        return self._kept("latent", [self.eyes.encoder], lambda: self._encode(encoder.acting))

    @cached_property
    def states(self) -> NDArray[np.float32]:
        """States (N, depth, dim) before each row, by the given dynamics."""
        assert self.eyes.dynamics is not None
        dynamics = from_checkpoint(self.eyes.dynamics, Dynamics)
        made_from = [path for path in (self.eyes.encoder, self.eyes.dynamics) if path]
        return self._kept("state", made_from, lambda: self._remember(dynamics.net))

    def _kept(
        self, what: str, made_from: list[Path], make: Callable[[], Iterator[Tensor]]
    ) -> NDArray[np.float32]:
        """Return what lies in the cache, made now if it does not."""
        path = self.folder / CACHE / f"{what}_{fingerprint(*made_from)}.npy"
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
        for file in self.files:
            frames = torch.from_numpy(read_window(file, {"frame"})["frame"])
            yield torch.cat([encoder(some) for some in frames.split(_FRAMES)])

    @torch.inference_mode()
    def _remember(self, dynamics: ForwardDynamics) -> Iterator[Tensor]:
        """Yield the state before each row, blank where the mind began afresh."""
        blank = torch.zeros(1, *dynamics.state_shape)
        state, last = blank, None
        everything = np.ones(len(self), np.bool_)
        for steps in self.windows(everything, without={"frame", "state"}):
            fresh = steps["is_first"].clone()
            fresh[1:] |= steps["index"].diff() != 1
            fresh[0] |= last is None or int(steps["index"][0]) != last + 1
            last = int(steps["index"][-1])
            _, after = dynamics(steps["latent"][None], steps["action"][None], state, fresh[None])
            before = torch.cat([state, after[0, :-1]])
            before[fresh] = 0
            state = after[:, -1]
            yield before
