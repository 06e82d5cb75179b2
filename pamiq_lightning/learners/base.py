"""The contract of a learner.

To add one, write a file beside this one and a YAML in conf/learners/. A learner is a
LightningModule that trains unchanged under the background trainer, `lightning.Trainer` and the
Lightning CLI. It knows nothing of processes, files or worlds.

A learner must have
    required_keys         the keys of `pamiq_lightning.step` it trains on
    replay                how many of them it keeps, and what one training round takes (ReplaySpec)
    training_step         the loss of one batch
    configure_optimizers  exactly one optimizer
    the methods of its role in `pamiq_lightning.learners.roles`
and, where the agent runs a part of it,
    acting_module         that part, as `pamiq_lightning.learners.roles` says for its role

Everything else has a default: `on_rollout`, `log_later`, `shared_shapes`, `should_stop_round`,
`clip_groups`, `optional_prefixes`, `derived_prefixes`, `on_acting_restored`, and Lightning's own
hooks. `validation_step` and `predict_step` take an unbroken run of steps [N] and serve the CLI.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import lightning as L
import torch
from tensordict import TensorDict
from torch import Tensor, nn

from pamiq_lightning.utils.finite import check_finite


@dataclass(frozen=True)
class ReplaySpec:
    """What a learner keeps of its experience, and what one training round takes from it.

    Attributes:
        kind: `uniform`, single steps of the whole past; `sequence`, unbroken sequences of the
            newest steps; `on_policy`, every new rollout once, whole.
        capacity: steps kept at most.
        batch_size: steps, or sequences, of one update.
        updates: updates of a round; with `on_policy`, epochs over each rollout.
        length: steps of one sequence.
        max_version_lag: steps whose encoder is more versions behind than this are in no sequence.
        turnover: with `uniform`, the expected number of steps, as a multiple of the capacity, after
            which every step of a full buffer has been replaced.
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
        required_keys: keys of `pamiq_lightning.step` that it trains on; `info` must not be one.
        replay: what it keeps of its experience.
        shared_shapes: shapes that must agree with other learners, by init argument: an encoder's
            `latent` is what it makes; everyone else's is what they take.
        should_stop_round: more updates of this round would do harm; read before every batch.
        optional_prefixes: prefixes of weights that start afresh where a checkpoint lacks them.
        derived_prefixes: prefixes of weights that `load_state_dict` makes from the others; an
            export leaves them out.
        gradient_clip: largest norm of the gradient, or None.
        latest_version: number of times its weights were published; whoever publishes them sets it.
        n_updates: updates made. Lightning's own `global_step` is always 0 under Fabric.
        grad_norm: norm of the newest gradient before clipping.
    """

    required_keys: ClassVar[tuple[str, ...]] = ()
    optional_prefixes: ClassVar[tuple[str, ...]] = ()
    derived_prefixes: ClassVar[tuple[str, ...]] = ()
    replay: ReplaySpec
    should_stop_round: bool = False
    gradient_clip: float | None = None
    latest_version: int = 0
    n_updates: Tensor
    grad_norm: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.shared_shapes: dict[str, tuple[int, ...]] = {}
        self.register_buffer("n_updates", torch.zeros((), dtype=torch.int64))
        self._pending_metrics: dict[str, Any] = {}

    @property
    def acting_module(self) -> nn.Module | None:
        """The module that the agent runs, sharing this learner's tensors; None if none does."""
        return None

    def on_rollout(self, steps: TensorDict) -> None:
        """Look at a new rollout [N] once, before it enters the replay buffer.

        For running scales and for errors on steps never trained on: it may log by `log_later`, it
        must not train. The acting encoder's latents and the rewards are in `steps`.
        """

    def prepare(self, rollout: TensorDict) -> TensorDict:
        """Turn a rollout [N+1] into the rows of a round; for `on_policy` learners."""
        raise NotImplementedError(f"{type(self).__name__} is on-policy and must have `prepare`")

    def on_acting_restored(self) -> None:
        """Called when only the acting module's weights were left after a crash."""

    def log_later(self, metrics: Mapping[str, float | Tensor]) -> None:
        """Log metrics with the next update; Lightning refuses `self.log` outside of one."""
        self._pending_metrics.update(metrics)

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Log what `log_later` was given."""
        if self._pending_metrics:
            self.log_dict(self._pending_metrics)
            self._pending_metrics = {}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Save the pending metrics; subclasses add what is neither parameter nor buffer."""
        checkpoint["pending_metrics"] = dict(self._pending_metrics)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Load what `on_save_checkpoint` saved; a file of weights alone has nothing of it.

        Raises:
            ValueError: Lightning loads weights that are not finite.
        """
        check_finite(checkpoint.get("state_dict"), "the checkpoint's state_dict")
        self._pending_metrics = dict(checkpoint.get("pending_metrics", {}))

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Clip and log the gradient, in a hook that Fabric's loop and Lightning's both call."""
        limit = float("inf") if self.gradient_clip is None else self.gradient_clip
        norms = [nn.utils.clip_grad_norm_(group, limit) for group in self.clip_groups()]
        self.grad_norm = torch.stack(norms).norm()
        self.log("grad_norm", self.grad_norm)

    def clip_groups(self) -> list[list[nn.Parameter]]:
        """Return the parameters in groups; each group's gradient is clipped by its own norm."""
        return [list(self.parameters())]

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Count the update."""
        self.n_updates += 1

    def test_step(self, batch: TensorDict, batch_idx: int) -> None:
        """Evaluate as `validation_step` does: held-out minutes are never trained on."""
        self.validation_step(batch, batch_idx)

    def require_positive(self, names: str) -> None:
        """Check hyper-parameters that must be above 0, their names separated by spaces.

        Raises:
            ValueError: one is not; the message names it.
        """
        for name in names.split():
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
    """Check that learners agree on the shapes they share.

    Raises:
        ValueError: two learners differ; the message names both settings.
    """
    seen: dict[str, tuple[str, tuple[int, ...]]] = {}
    for role, learner in learners.items():
        for name, size in learner.shared_shapes.items():
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
