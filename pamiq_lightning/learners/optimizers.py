"""The one optimizer of a LightningModule, with its step-wise schedulers."""

from __future__ import annotations

from typing import cast

import lightning as L

# Private, but they parse every legal return of configure_optimizers; lightning is pinned to 2.6.
from lightning.pytorch.core.optimizer import (
    _configure_optimizers,
    _configure_schedulers_automatic_opt,
)
from lightning.pytorch.utilities.types import LRSchedulerConfig
from torch.optim import Optimizer


def configure_optimizer(module: L.LightningModule) -> tuple[Optimizer, list[LRSchedulerConfig]]:
    """Return a module's optimizer and its schedulers.

    Raises:
        ValueError: the module has not exactly one optimizer, uses manual optimization, or has a
            scheduler that steps by epoch.
    """
    name = type(module).__name__
    optimizers, schedulers, monitor = _configure_optimizers(
        cast(Optimizer, module.configure_optimizers())
    )
    if len(optimizers) != 1 or not module.automatic_optimization:
        raise ValueError(
            f"{name} must have one optimizer and automatic optimization: loops within an update "
            "belong in its ReplaySpec"
        )
    configs = _configure_schedulers_automatic_opt(schedulers, monitor)
    if any(config.interval != "step" for config in configs):
        raise ValueError(
            f"{name}: a run has no epochs; its scheduler must be given as "
            '{"scheduler": ..., "interval": "step"}'
        )
    return optimizers[0], configs
