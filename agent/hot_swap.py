"""An acting module whose weights change between two ticks, and never within one."""

from __future__ import annotations

import copy
from typing import Generic, TypeVar, cast

import torch
from torch import nn

from pamiq_lightning.exchange.weights import WeightsReader, WeightsSpec, tensors_of

M = TypeVar("M", bound=nn.Module)


class HotModule(Generic[M]):
    """Two copies of a module: one acts, the other takes new weights in the slack of the ticks.

    Args:
        module: the module that acts; it is copied, not kept.
        spec: where its weights are published.
        device: where it runs.
    """

    def __init__(self, module: nn.Module, spec: WeightsSpec, device: torch.device) -> None:
        self.active: M = self._frozen_copy(module, device)
        self.standby: M = self._frozen_copy(module, device)
        self._reader = WeightsReader(spec, module)
        self._incoming = 0
        self._ready = False
        self.version = 0
        """Version of the weights that act."""
        self.just_swapped = False
        """Whether the standby still holds the weights that acted before; see `settle`."""

    @staticmethod
    def _frozen_copy(module: nn.Module, device: torch.device) -> M:
        return cast(M, copy.deepcopy(module).requires_grad_(False).eval().to(device))

    def advance(self, max_bytes: int | None) -> int:
        """Copy some of the newest weights into the standby; begin a copy if there are newer ones.

        Args:
            max_bytes: how much to copy now at most; None for all.

        Returns:
            How many bytes were copied.
        """
        if self._ready or self.just_swapped:
            return 0
        if not self._reader.copying:
            if self._reader.latest_version == self.version:
                return 0
            self._incoming = self._reader.begin()
        copied = self._reader.copy(tensors_of(self.standby), max_bytes)
        self._ready = not self._reader.copying
        return copied

    def swap(self) -> bool:
        """Exchange the two copies if the standby is complete; return whether it was."""
        if not self._ready:
            return False
        self.active, self.standby = self.standby, self.active
        self.version, self._ready, self.just_swapped = self._incoming, False, True
        return True

    def settle(self) -> None:
        """Give up the weights before the last swap: nobody needs them any more."""
        self.just_swapped = False

    @property
    def copying(self) -> bool:
        """Whether a copy was begun and is not finished."""
        return self._reader.copying

    def load_latest(self) -> None:
        """Act with the newest weights from now on, however long the copy takes."""
        self.advance(None)
        self.swap()
        if self._reader.latest_version != self.version:
            self.settle()
            self.advance(None)
            self.swap()
