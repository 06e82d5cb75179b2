"""The contract of a learner, and how one is built from settings.

A learner runs unchanged under the background Fabric loop, `lightning.Trainer` and the Lightning
CLI. To add one, write a file beside this one and a YAML in conf/learners/.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import lightning as L
import torch
from tensordict import TensorDict
from torch import Tensor, nn


@dataclass(frozen=True)
class ReplaySpec:
    """How a learner remembers, and what one training round takes from it.

    Attributes:
        kind: `rows`, single steps kept by a reservoir; `slices`, unbroken runs of steps from the
            newest ones; `windows`, every new window once, whole.
        capacity: steps kept at most.
        batch_size: rows, or slices, of one update.
        updates: updates of a round; with `windows`, passes over each window.
        length: steps of one slice.
        max_version_lag: rows whose encoder is more versions behind than this are not sampled as
            slices.
        turnover: expected number of rows, as a multiple of the capacity, that pass before every row
            of a full store has been replaced.
    """

    kind: Literal["uniform", "sequence", "on_policy"]
    capacity: int
    batch_size: int
    updates: int
    length: int = 1
    max_version_lag: int = 16
    turnover: float = 10.0


class Learner(L.LightningModule):
    """Base of all learners.

    Attributes:
        needs: keys of `pamiq_lightning.step` that it remembers.
        optional_prefixes: beginnings of names of weights that it can begin anew without its others.
        gradient_clip: largest norm of the gradient, or None.
        frame_size: side of the frames it takes, in pixels, where it decides that.
        latest_version: how often its weights were published; set by whoever publishes them.
    """

    required_keys: ClassVar[tuple[str, ...]] = ()
    optional_prefixes: ClassVar[tuple[str, ...]] = ()
    gradient_clip: float | None = None
    frame_size: int | None = None
    latest_version: int = 0
    n_updates: Tensor
    grad_norm: Tensor
    """Norm of the newest gradient, before it was clipped."""

    def __init__(self) -> None:
        super().__init__()
        # Lightning's own global_step is always 0 under Fabric.
        self.register_buffer("n_updates", torch.zeros((), dtype=torch.int64))
        self._notes: dict[str, Any] = {}

    @property
    def acting_module(self) -> nn.Module | None:
        """The module the agent runs, sharing this learner's tensors; None if nothing of it acts."""
        return None

    def on_acting_restored(self) -> None:
        """Called when only the acting module's weights could be saved from a crash."""

    @property
    def replay(self) -> ReplaySpec:
        """How this learner remembers."""
        raise NotImplementedError(f"{type(self).__name__} must say how it remembers: `memory`")

    def shared_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the sizes that must agree with other learners, by the name of the init argument.

        An encoder's `latent` is what it makes; everybody else's is what they take.
        """
        return {}

    def on_rollout(self, steps: TensorDict) -> None:
        """See a new window [N] once, before it is remembered: for scales and for honest tests.

        The encoder's latents and the rewards are in it; it may log, it must not train.
        """

    def prepare(self, rollout: TensorDict) -> TensorDict:
        """Turn a window [N+1] into the rows of a round; for learners that remember `windows`."""
        raise NotImplementedError(f"{type(self).__name__} remembers windows and must prepare them")

    def log_later(self, metrics: Mapping[str, float | Tensor]) -> None:
        """Remember figures made outside of an update; they are logged with the next one.

        Lightning refuses `self.log` while batches are being made.
        """
        self._notes.update(metrics)

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Log what was noted."""
        if self._notes:
            self.log_dict(self._notes)
            self._notes = {}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep what was noted; subclasses add what else is no parameter and no buffer."""
        checkpoint["notes"] = dict(self._notes)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take up what `on_save_checkpoint` kept; a file of weights alone has nothing of it."""
        self._notes = dict(checkpoint.get("notes", {}))

    @property
    def should_stop_round(self) -> bool:
        """Whether the rest of this round would do harm (asked before every batch)."""
        return False

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Clip and log the gradient here, in the hook that every driver calls."""
        limit = float("inf") if self.gradient_clip is None else self.gradient_clip
        norms = [nn.utils.clip_grad_norm_(group, limit) for group in self.clip_groups()]
        self.grad_norm = torch.stack(norms).norm()
        self.log("grad_norm", self.grad_norm)

    def clip_groups(self) -> list[list[nn.Parameter]]:
        """Return the parameters in groups whose gradients are clipped each by its own norm."""
        return [list(self.parameters())]

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Count the update."""
        self.n_updates += 1

    def test_step(self, batch: TensorDict, batch_idx: int) -> None:
        """Judge as `validation_step` does: minutes held out are never trained on."""
        self.validation_step(batch, batch_idx)

    def require_positive(self, *names: str) -> None:
        """Check hyper-parameters that must be above 0.

        Raises:
            ValueError: one is not; the message names it.
        """
        for name in names:
            if not self.hparams[name] > 0:
                raise ValueError(f"{name}={self.hparams[name]}: must be above 0")

    def decay_groups(self, weight_decay: float) -> list[dict[str, Any]]:
        """Return optimizer groups: no weight decay on biases and other 1-D parameters."""
        decayed: list[nn.Parameter] = []
        bare: list[nn.Parameter] = []
        for name, parameter in self.named_parameters():
            if parameter.requires_grad:
                is_bias = parameter.ndim <= 1 or name.endswith("bias")
                (bare if is_bias else decayed).append(parameter)
        return [
            {"params": decayed, "weight_decay": weight_decay},
            {"params": bare, "weight_decay": 0.0},
        ]


def check_shared_shapes(learners: Mapping[str, Learner]) -> None:
    """Check that learners which meet agree on what they share.

    Raises:
        ValueError: two learners differ; the message names both settings.
    """
    seen: dict[str, tuple[str, tuple[int, ...]]] = {}
    for role, learner in learners.items():
        for name, size in learner.shared_shapes().items():
            first_role, first = seen.setdefault(name, (role, size))
            if first != size:
                raise ValueError(
                    f"learners.{role}.model.init_args.{name} is {list(size)} but "
                    f"learners.{first_role}.model.init_args.{name} is {list(first)}: "
                    "they must be equal"
                )


def mean_square(error: Tensor) -> Tensor:
    """Return the mean of the squares."""
    return error.square().mean()
