"""An acting module whose weights change between two ticks, and never within one."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Generic, TypeVar, cast

import torch
from torch import Tensor, nn

from pamiq_lightning.exchange.weights import WeightsReader, WeightsSpec, tensors_of
from pamiq_lightning.utils.torch_compile import compile_acting

M = TypeVar("M", bound=nn.Module)


class PinnedCopy:
    """Takes weights from page-locked memory into a module on a card, on a stream of its own.

    So neither the tick's kernels nor the tick wait for the copy.

    Args:
        tensors: of such a module, on the CPU.
        device: the card.

    Attributes:
        host: where the weights are put first.
        begun: whether a copy is on its way.
    """

    def __init__(self, tensors: Sequence[Tensor], device: torch.device) -> None:
        self.host = [torch.empty_like(tensor, pin_memory=True) for tensor in tensors]
        self._stream, self._event = torch.cuda.Stream(device), torch.cuda.Event()
        self.begun = False

    @torch.no_grad()
    def start(self, targets: Sequence[Tensor]) -> None:
        """Begin to copy all of `host` into the targets."""
        # What the tick had these do before must be over.
        self._stream.wait_stream(torch.cuda.current_stream(self._stream.device))
        with torch.cuda.stream(self._stream):
            for target, source in zip(targets, self.host, strict=True):
                target.copy_(source, non_blocking=True)
        self._event.record(self._stream)
        self.begun = True

    def arrived(self) -> bool:
        """Tell whether all is there; if so, the next copy may begin."""
        if self.begun and self._event.query():
            self.begun = False
        return not self.begun

    def wait(self) -> None:
        """Return when all is there."""
        self._event.synchronize()


class DoubleBufferedModule(Generic[M]):
    """Two copies of a module: one acts, the other takes new weights in the slack of the ticks.

    Args:
        module: the module that acts; it is copied, not kept.
        spec: where its weights are published.
        device: where it runs.
        compiled: compile what a tick calls; the first calls of each copy then take long.
    """

    def __init__(
        self, module: nn.Module, spec: WeightsSpec, device: torch.device, compiled: bool = False
    ) -> None:
        self.active: M = self._frozen_copy(module, device)
        self.standby: M = self._frozen_copy(module, device)
        if compiled:
            compile_acting(self.active, device)
            compile_acting(self.standby, device)
        self._reader = WeightsReader(spec, module)
        self._lift = PinnedCopy(tensors_of(module), device) if device.type == "cuda" else None
        self._incoming = 0
        self._ready = False
        self.version = 0
        """Version of the weights that act."""
        self.just_swapped = False
        """Whether the standby still holds the weights that acted before; see `settle`."""

    @staticmethod
    def _frozen_copy(module: nn.Module, device: torch.device) -> M:
        return cast(M, copy.deepcopy(module).requires_grad_(False).eval().to(device))

    def copy_chunk(self, max_bytes: int | None) -> int:
        """Copy some of the newest weights into the standby; begin a copy if there are newer ones.

        Args:
            max_bytes: how much to copy now at most; None for all.

        Returns:
            How many bytes were copied.
        """
        if self._ready or self.just_swapped:
            return 0
        if self._lift is not None and self._lift.begun:
            self._ready = self._lift.arrived()
            return 0
        if not self._reader.copying:
            if self._reader.latest_version == self.version:
                return 0
            self._incoming = self._reader.begin()
        standby = tensors_of(self.standby)
        copied = self._reader.copy(self._lift.host if self._lift else standby, max_bytes)
        if not self._reader.copying and self._lift is not None:
            self._lift.start(standby)
            if max_bytes is None:
                self._lift.wait()
        self._ready = not self._reader.copying and (self._lift is None or self._lift.arrived())
        return copied

    def exchange(self) -> None:
        """Let the standby act, and the one that acted stand by."""
        self.active, self.standby = self.standby, self.active

    def swap(self) -> bool:
        """Exchange the two copies if the standby is complete; return whether it was."""
        if not self._ready:
            return False
        self.exchange()
        self.version, self._ready, self.just_swapped = self._incoming, False, True
        return True

    @torch.no_grad()
    def load_version(self, version: int, tensors: Sequence[Tensor]) -> None:
        """Act with weights from elsewhere, such as a checkpoint, until newer ones are taken.

        Args:
            version: of these weights.
            tensors: `tensors_of` such a module.
        """
        for place, tensor in zip(tensors_of(self.active), tensors, strict=True):
            place.copy_(tensor)
        self.version, self.just_swapped = version, False

    def release_previous(self) -> None:
        """Give up the weights before the last swap: nobody needs them any more."""
        self.just_swapped = False

    @property
    def copying(self) -> bool:
        """Whether more could be copied now; what is on its way to a card needs no help."""
        return self._reader.copying

    def load_latest(self) -> None:
        """Act with the newest weights from now on, however long the copy takes."""
        self.copy_chunk(None)
        self.swap()
        if self._reader.latest_version != self.version:
            self.release_previous()
            self.copy_chunk(None)
            self.swap()
