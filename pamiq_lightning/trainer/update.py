"""Trains one LightningModule on one Fabric, update by update, exactly as `lightning.Trainer` would.

An update whose loss or gradient is not finite is left out and counted; after three in a row the
learner goes back to the state it was last known to be good in.

One Fabric per learner: `fabric.setup` makes a module's hooks callbacks of that Fabric, so two
modules on one would run each other's.
"""

from __future__ import annotations

import copy
from typing import Any, cast

import lightning as L
import torch
from lightning.fabric.loggers.logger import Logger

# Private, but they parse every legal return of configure_optimizers; lightning is pinned to 2.6.
from lightning.pytorch.core.optimizer import (
    _configure_optimizers,
    _configure_schedulers_automatic_opt,
)
from lightning.pytorch.utilities.types import LRSchedulerConfig
from tensordict import TensorDict
from torch import Tensor
from torch.optim import Optimizer

from pamiq_lightning.learners.base import Learner
from pamiq_lightning.utils.torch_compile import compile_training


class MetricsCollector(Logger):
    """Gathers what `self.log` says until the driver asks; Fabric calls it without a step."""

    def __init__(self) -> None:
        self._metrics: dict[str, float] = {}

    @property
    def name(self) -> str:
        """Name that Lightning wants."""
        return "collector"

    @property
    def version(self) -> int:
        """Version that Lightning wants."""
        return 0

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Keep the newest value of each metric."""
        self._metrics.update(metrics)

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Hyper-parameters are logged once for the whole run, not here."""

    def take(self) -> dict[str, float]:
        """Return what came since the last call."""
        taken, self._metrics = self._metrics, {}
        return taken

    def untaken(self) -> dict[str, float]:
        """Return what the next `take` will, and leave it."""
        return {name: float(value) for name, value in self._metrics.items()}


SKIPS_BEFORE_ROLLBACK = 3


def configure(learner: Learner) -> tuple[Optimizer, list[LRSchedulerConfig]]:
    """Return a learner's optimizer and its schedulers.

    Raises:
        ValueError: the learner has not exactly one optimizer, or wants manual optimisation.
    """
    optimizers, schedulers, monitor = _configure_optimizers(
        cast(Optimizer, learner.configure_optimizers())
    )
    if len(optimizers) != 1 or not learner.automatic_optimization:
        raise ValueError(
            f"{type(learner).__name__} must have one optimizer and automatic optimisation: "
            "loops within an update belong in how the learner remembers"
        )
    configs = _configure_schedulers_automatic_opt(schedulers, monitor)
    if any(config.interval != "step" for config in configs):
        raise ValueError(
            f"{type(learner).__name__}: a life has no epochs; its scheduler must say "
            '{"scheduler": ..., "interval": "step"}'
        )
    return optimizers[0], configs


class Updater:
    """Drives one learner.

    Attributes:
        batches: updates made, those left out not counted.
        skipped: updates left out because something was not finite.
        rollbacks: how often the learner went back to its last good state.

    Args:
        learner: the module; it stays the caller's own, its tensors never move to new ones on a CPU.
        device: `cpu` or `cuda`.
        precision: `32-true` or `bf16-mixed`.
        compiled: compile the learner's nets; its first updates then take long.

    Raises:
        ValueError: the learner has not exactly one optimizer, or wants manual optimisation.
    """

    def __init__(
        self, learner: Learner, device: str, precision: str, compiled: bool = False
    ) -> None:
        self.learner = learner
        self.metrics = MetricsCollector()
        self.fabric = L.Fabric(
            accelerator=device,
            devices=1,
            precision=precision,  # type: ignore[arg-type]
            loggers=[self.metrics],
        )
        optimizer, self.schedulers = configure(learner)
        _, self.optimizer = self.fabric.setup(learner, optimizer)
        if compiled:
            compile_training(learner)
        self.batches = self.skipped = self.rollbacks = 0
        self._skipped_in_a_row = 0
        self.snapshot()
        learner.train()
        learner.on_fit_start()
        learner.on_train_start()

    def update(self, batch: TensorDict) -> float:
        """Make one update and return its loss."""
        learner, index = self.learner, self.batches
        batch = batch.to(self.fabric.device)
        learner.on_train_batch_start(batch, index)
        # On one device Fabric leaves `training_step` outside its precision without this.
        with self.fabric.autocast():
            outputs = learner.training_step(batch, index)
        loss = cast(Tensor, outputs if isinstance(outputs, Tensor) else outputs["loss"])  # type: ignore[index]
        learner.on_before_backward(loss)
        self.fabric.backward(loss)
        learner.on_after_backward()
        learner.on_before_optimizer_step(self.optimizer)
        if not bool(torch.isfinite(loss.detach() + learner.grad_norm)):
            self._skip()
            return float(loss.detach())
        self._skipped_in_a_row = 0
        self.optimizer.step()
        learner.on_before_zero_grad(self.optimizer)
        self.optimizer.zero_grad()
        for config in self.schedulers:
            if (index + 1) % config.frequency == 0:
                learner.lr_scheduler_step(config.scheduler, None)
        learner.on_train_batch_end(outputs, batch, index)
        self.batches += 1
        return float(loss.detach())

    def state(self) -> dict[str, Any]:
        """Return all that an update depends on but the weights, as plain values and tensors."""
        return {
            "optimizer": self.optimizer.state_dict(),
            "schedulers": [config.scheduler.state_dict() for config in self.schedulers],
            "batches": self.batches,
            "skipped": self.skipped,
            "skipped_in_a_row": self._skipped_in_a_row,
            "rollbacks": self.rollbacks,
            "metrics": self.metrics.untaken(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from `state`; the weights that belong to it must be loaded already.

        Raises:
            KeyError, ValueError: it is the state of another learner.
        """
        self.optimizer.load_state_dict(state["optimizer"])
        for config, told in zip(self.schedulers, state["schedulers"], strict=True):
            config.scheduler.load_state_dict(told)
        self.batches, self.skipped = state["batches"], state["skipped"]
        self._skipped_in_a_row, self.rollbacks = state["skipped_in_a_row"], state["rollbacks"]
        self.metrics.take()
        self.metrics.log_metrics(state["metrics"])
        self.snapshot()

    def snapshot(self) -> None:
        """Keep a copy of learner and optimizer to go back to; call it when the weights are good."""
        self._good_state = copy.deepcopy((self.learner.state_dict(), self.optimizer.state_dict()))

    def _skip(self) -> None:
        """Leave this update out; go back if it is not the first in a row."""
        self.optimizer.zero_grad()
        self.skipped += 1
        self._skipped_in_a_row += 1
        if self._skipped_in_a_row >= SKIPS_BEFORE_ROLLBACK:
            self.roll_back()
        self.metrics.log_metrics({"skipped": self.skipped, "rollbacks": self.rollbacks})

    def roll_back(self) -> None:
        """Go back to the last good state."""
        weights, optimizer = copy.deepcopy(self._good_state)
        self.learner.load_state_dict(weights)
        self.optimizer.load_state_dict(optimizer)
        self.rollbacks += 1
        self._skipped_in_a_row = 0
