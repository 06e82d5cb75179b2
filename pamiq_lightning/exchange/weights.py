"""Weights, trainer -> agent: three slots per module, so neither side waits and no weights tear.

One slot holds the latest weights, one is being written, and one is reserved by the reader in
`reader_slot`, a word that only the reader writes. The writer never writes to the latest or the
reserved slot. The reader reserves the latest slot, then reads `latest` again; if it has changed,
the reader tries again.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pamiq_lightning.exchange.shared_memory import Layout, SharedFile, aligned, layout

_SLOTS = 3


def tensors_of(module: nn.Module) -> list[Tensor]:
    """Return all parameters and buffers of a module, in a fixed order."""
    return [*module.parameters(), *module.buffers()]


def flat_size(module: nn.Module) -> int:
    """Return the bytes of a module's flat vector; each tensor begins at an aligned byte."""
    return sum(aligned(t.numel() * t.element_size()) for t in tensors_of(module))


@dataclass(frozen=True)
class WeightsSpec:
    """Everything a process needs to open one module's weights: picklable."""

    path: Path
    size: int
    """Bytes of the module's flat vector."""

    @property
    def layout(self) -> Layout:
        """The arrays of the file."""
        return layout(
            [
                ("latest", (1,), np.int64),
                ("reader_slot", (1,), np.int64),
                ("versions", (_SLOTS,), np.int64),
                ("vectors", (_SLOTS, max(self.size, 1)), np.uint8),
            ]
        )


def create(spec: WeightsSpec) -> None:
    """Create the file, with nothing published yet (version 0)."""
    SharedFile(spec.path, spec.layout, create=True)


def _fence() -> None:
    """Order the store before it and the load after it across processes.

    x86 reorders a store with a later load, which would let both sides miss each other's word.
    Taking a lock is an atomic read-modify-write, which is a full barrier there.
    """
    with threading.Lock():
        pass


def _views(module: nn.Module, slots: NDArray[np.generic]) -> list[list[Tensor]]:
    """Return a module's tensors as views of each slot."""
    views: list[list[Tensor]] = []
    for slot in slots:
        flat, offset = torch.from_numpy(slot), 0
        views.append([])
        for tensor in tensors_of(module):
            size = tensor.numel() * tensor.element_size()
            view = flat[offset : offset + size].view(tensor.dtype).view(tensor.shape)
            views[-1].append(view)
            offset += aligned(size)
    return views


def _open(spec: WeightsSpec, module: nn.Module) -> tuple[SharedFile, list[list[Tensor]]]:
    if flat_size(module) != spec.size:
        raise ValueError(
            f"{type(module).__name__} has {flat_size(module)} bytes of weights, "
            f"the exchange has room for {spec.size}: both sides must build the same module"
        )
    file = SharedFile(spec.path, spec.layout)
    return file, _views(module, file["vectors"])


class WeightsWriter:
    """The trainer's end for one module, whose tensors stay in place.

    Raises:
        ValueError: the module's weights have another size than the file.
    """

    def __init__(self, spec: WeightsSpec, module: nn.Module) -> None:
        self._file, self._views = _open(spec, module)
        self._tensors = tensors_of(module)
        self.version = int(self._file["versions"][int(self._file["latest"][0])])
        self._previous: int | None = None

    @torch.no_grad()
    def publish(self, tensors: Sequence[Tensor] | None = None) -> int:
        """Copy weights into a free slot, make it the latest, and return its new version.

        Args:
            tensors: `tensors_of` such a module; default: the module's own.

        Raises:
            FloatingPointError: a weight is not finite; nothing is published.
        """
        tensors = self._tensors if tensors is None else tensors
        if not all(bool(torch.isfinite(t).all()) for t in tensors):
            raise FloatingPointError("weights that are not finite cannot be published")
        if self.version:
            self._previous = int(self._file["latest"][0])
        busy = {int(self._file["latest"][0]), int(self._file["reader_slot"][0])}
        slot = next(s for s in range(_SLOTS) if s not in busy)
        for view, tensor in zip(self._views[slot], tensors, strict=True):
            view.copy_(tensor)
        self.version += 1
        self._file["versions"][slot] = self.version
        self._file["latest"][0] = slot
        _fence()
        return self.version

    @property
    def previous(self) -> tuple[int, list[Tensor]] | None:
        """Version and weights that this writer published before the latest.

        They are not overwritten before the next `publish`.
        """
        if self._previous is None:
            return None
        return int(self._file["versions"][self._previous]), self._views[self._previous]


class WeightsReader:
    """The agent's end for one module: copies the latest weights out, a piece at a time.

    Args:
        spec: where the weights are.
        module: a module like the published one.
        reserve: reserve the slot that is read, which only the agent may do; without it, read only
            while no process publishes.

    Raises:
        ValueError: the module's weights have another size than the file.
    """

    def __init__(self, spec: WeightsSpec, module: nn.Module, reserve: bool = True) -> None:
        self._file, self._views = _open(spec, module)
        self._reserve = reserve
        self._slot = 0
        # The tensor to copy next, and how many of its elements are copied.
        self._next = self._done = 0
        self.copying = False
        """Whether a copy has begun and is not finished."""

    @property
    def latest_version(self) -> int:
        """The latest published version; 0 before the first."""
        return int(self._file["versions"][int(self._file["latest"][0])])

    def begin(self) -> int:
        """Reserve the latest slot, begin a copy of it, and return its version."""
        while True:
            slot = int(self._file["latest"][0])
            if self._reserve:
                self._file["reader_slot"][0] = slot
            _fence()
            if int(self._file["latest"][0]) == slot:
                break
        self._slot, self._next, self._done, self.copying = slot, 0, 0, True
        return int(self._file["versions"][slot])

    @torch.no_grad()
    def copy(self, into: Sequence[Tensor], max_bytes: int | None = None) -> int:
        """Copy the next piece; `copying` is True until the last one is copied.

        Args:
            into: `tensors_of` the target module, the same for the whole copy.
            max_bytes: size of the piece, which may end within a tensor; default: no limit.

        Returns:
            The number of bytes copied.
        """
        copied = 0
        views = self._views[self._slot]
        while self._next < len(views):
            source, target = views[self._next].flatten(), into[self._next].view(-1)
            left, size = source.numel() - self._done, max(source.element_size(), 1)
            count = left if max_bytes is None else min(left, (max_bytes - copied) // size)
            part = slice(self._done, self._done + count)
            target[part].copy_(source[part])
            copied += count * size
            self._done += count
            if self._done < source.numel():
                break
            self._next, self._done = self._next + 1, 0
        self.copying = self._next < len(views)
        return copied
