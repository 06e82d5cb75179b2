"""One optimizer step at a time on one Fabric, exactly as `lightning.Trainer` makes it.

An update whose loss or gradient is not finite is skipped and counted; after three skips in a row
the learner rolls back to its last snapshot.

Each learner has its own Fabric: `fabric.setup` registers a module's hooks as callbacks of that
Fabric, so two modules on one Fabric would run each other's hooks.
"""

from __future__ import annotations

import copy
from typing import Any, cast

import lightning as L
import torch
from lightning.fabric.loggers.logger import Logger
from tensordict import TensorDict
from torch import Tensor

from pamiq_lightning.learners.base import Learner
from pamiq_lightning.learners.optimizers import configure_optimizer
from pamiq_lightning.utils.torch_compile import compile_training


class MetricsCollector(Logger):
    """Collects what `self.log` logs until the worker takes it; Fabric calls it without a step."""

    def __init__(self) -> None:
        self._metrics: dict[str, float] = {}

    @property
    def name(self) -> str:
        """Name, required by Lightning."""
        return "collector"

    @property
    def version(self) -> int:
        """Version, required by Lightning."""
        return 0

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Keep the newest value of each metric."""
        self._metrics.update(metrics)

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Ignore hyperparameters: the run log stores them once."""

    def take(self) -> dict[str, float]:
        """Return the metrics logged since the last call, and clear them."""
        metrics, self._metrics = self._metrics, {}
        return metrics

    def peek(self) -> dict[str, float]:
        """Return what the next `take` will return, without clearing it."""
        return {name: float(value) for name, value in self._metrics.items()}


SKIPS_BEFORE_ROLLBACK = 3
"""Skipped updates in a row after which the learner rolls back."""


class Updater:
    """Makes updates of one learner.

    Attributes:
        batches: updates made, without skipped ones.
        skipped: updates skipped because loss or gradient was not finite.
        rollbacks: number of rollbacks to the last snapshot.

    Args:
        learner: the module; on a CPU its tensors stay in place.
        device: `cpu` or `cuda`.
        precision: `32-true` or `bf16-mixed`.
        compiled: compile the learner's nets; the first updates then take minutes.

    Raises:
        ValueError: the learner has not exactly one optimizer, or uses manual optimization.
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
        optimizer, self.schedulers = configure_optimizer(learner)
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
        # On one device Fabric does not apply its precision to `training_step`.
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

    def state_dict(self) -> dict[str, Any]:
        """Return all state an update depends on, except the weights."""
        return {
            "optimizer": self.optimizer.state_dict(),
            "schedulers": [config.scheduler.state_dict() for config in self.schedulers],
            "batches": self.batches,
            "skipped": self.skipped,
            "skipped_in_a_row": self._skipped_in_a_row,
            "rollbacks": self.rollbacks,
            "metrics": self.metrics.peek(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load `state`; the weights that belong to it must be loaded already.

        Raises:
            KeyError, ValueError: it is the state of another learner.
        """
        self.optimizer.load_state_dict(state["optimizer"])
        for config, scheduler in zip(self.schedulers, state["schedulers"], strict=True):
            config.scheduler.load_state_dict(scheduler)
        self.batches, self.skipped = state["batches"], state["skipped"]
        self._skipped_in_a_row, self.rollbacks = state["skipped_in_a_row"], state["rollbacks"]
        self.metrics.take()
        self.metrics.log_metrics(state["metrics"])
        self.snapshot()

    def snapshot(self) -> None:
        """Copy the state of learner and optimizer, for `rollback`; all weights must be finite."""
        self._snapshot = copy.deepcopy((self.learner.state_dict(), self.optimizer.state_dict()))

    def _skip(self) -> None:
        """Skip this update; roll back after several skips in a row."""
        self.optimizer.zero_grad()
        self.skipped += 1
        self._skipped_in_a_row += 1
        if self._skipped_in_a_row >= SKIPS_BEFORE_ROLLBACK:
            self.rollback()
        self.metrics.log_metrics({"skipped": self.skipped, "rollbacks": self.rollbacks})

    def rollback(self) -> None:
        """Load the last snapshot into learner and optimizer."""
        weights, optimizer = copy.deepcopy(self._snapshot)
        self.learner.load_state_dict(weights)
        self.optimizer.load_state_dict(optimizer)
        self.rollbacks += 1
        self._skipped_in_a_row = 0
