"""An acting module whose weights change between two ticks, never within one."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Generic, TypeVar, cast

import torch
from torch import Tensor, nn

from pamiq_lightning.exchange.weights import WeightsReader, WeightsSpec, tensors_of
from pamiq_lightning.utils.torch_compile import compile_acting

M = TypeVar("M")


class PinnedCopy:
    """Copies weights from page-locked memory to a CUDA device, on a stream of its own.

    Neither the tick nor its kernels wait for the copy.

    Args:
        tensors: of such a module, on the CPU.
        device: the CUDA device.

    Attributes:
        host: where the weights are put first.
        started: whether a copy is running.
    """

    def __init__(self, tensors: Sequence[Tensor], device: torch.device) -> None:
        self.host = [torch.empty_like(tensor, pin_memory=True) for tensor in tensors]
        self._stream, self._event = torch.cuda.Stream(device), torch.cuda.Event()
        self.started = False

    @torch.no_grad()
    def start(self, targets: Sequence[Tensor]) -> None:
        """Start to copy all of `host` into the targets."""
        # The kernels of the last tick that use the targets must have ended.
        self._stream.wait_stream(torch.cuda.current_stream(self._stream.device))
        with torch.cuda.stream(self._stream):
            for target, source in zip(targets, self.host, strict=True):
                target.copy_(source, non_blocking=True)
        self._event.record(self._stream)
        self.started = True

    def arrived(self) -> bool:
        """Return whether the copy has ended; then the next one may start."""
        if self.started and self._event.query():
            self.started = False
        return not self.started

    def wait(self) -> None:
        """Wait for the copy to end."""
        self._event.synchronize()


class DoubleBufferedModule(Generic[M]):
    """Two copies of a module: one acts, the other takes new weights between ticks.

    Args:
        module: the module to copy.
        spec: where its weights are published.
        device: where it runs.
        compiled: compile what a tick calls; the first calls of each copy then take long.
    """

    def __init__(
        self, module: nn.Module, spec: WeightsSpec, device: torch.device, compiled: bool = False
    ) -> None:
        copies = [copy.deepcopy(module).requires_grad_(False).eval().to(device) for _ in range(2)]
        if compiled:
            for frozen in copies:
                compile_acting(frozen, device)
        self.active, self.standby = (cast(M, frozen) for frozen in copies)
        self._reader = WeightsReader(spec, module)
        self._pinned = PinnedCopy(tensors_of(module), device) if device.type == "cuda" else None
        self._incoming = 0
        self._ready = False
        self.version = 0
        """Version of the active weights."""
        self.just_swapped = False
        """Whether the standby still holds the previous weights; see `release_previous`."""

    def copy_chunk(self, max_bytes: int | None) -> int:
        """Copy some of the newest weights into the standby; start a copy if there are newer ones.

        Args:
            max_bytes: how much to copy now at most; None for all.

        Returns:
            How many bytes were copied.
        """
        if self._ready or self.just_swapped:
            return 0
        if self._pinned is not None and self._pinned.started:
            self._ready = self._pinned.arrived()
            return 0
        if not self._reader.copying:
            if self._reader.latest_version == self.version:
                return 0
            self._incoming = self._reader.begin()
        standby = tensors_of(cast(nn.Module, self.standby))
        copied = self._reader.copy(self._pinned.host if self._pinned else standby, max_bytes)
        if not self._reader.copying and self._pinned is not None:
            self._pinned.start(standby)
            if max_bytes is None:
                self._pinned.wait()
        self._ready = not self._reader.copying and (self._pinned is None or self._pinned.arrived())
        return copied

    def exchange(self) -> None:
        """Exchange the active copy and the standby."""
        self.active, self.standby = self.standby, self.active

    def swap(self) -> bool:
        """Exchange the copies if the standby is complete; return whether it was."""
        if not self._ready:
            return False
        self.exchange()
        self.version, self._ready, self.just_swapped = self._incoming, False, True
        return True

    @torch.no_grad()
    def load_version(self, version: int, tensors: Sequence[Tensor]) -> None:
        """Act with given weights, such as a checkpoint's, until newer ones arrive.

        Args:
            version: of the weights.
            tensors: `tensors_of` a module that holds them.
        """
        for target, tensor in zip(tensors_of(cast(nn.Module, self.active)), tensors, strict=True):
            target.copy_(tensor)
        self.version, self.just_swapped = version, False

    def release_previous(self) -> None:
        """Free the standby, which holds the weights before the last swap, for new ones."""
        self.just_swapped = False

    @property
    def copying(self) -> bool:
        """Whether more can be copied now; a running CUDA copy needs no further call."""
        return self._reader.copying

    def load_latest(self) -> None:
        """Act with the newest weights at once, however long the copy takes."""
        self.copy_chunk(None)
        self.swap()
        if self._reader.latest_version != self.version:
            self.release_previous()
            self.copy_chunk(None)
            self.swap()
