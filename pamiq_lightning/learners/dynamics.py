"""Forward dynamics: learns what will be seen next, with how much certainty.

Source: the forward dynamics of ML Shukai's P-AMI<Q> (2024), whose fixed variance is replaced by a
predicted one.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Literal

import torch
import torch.nn.functional as F
from tensordict import TensorDict
from torch import Tensor, nn

from pamiq_lightning.learners.base import Learner, ReplaySpec, mean_square
from pamiq_lightning.nets.aux_heads import AuxHead
from pamiq_lightning.nets.forward_dynamics import ForwardDynamics, Prediction, normal_nll
from pamiq_lightning.step import is_transition

HORIZONS = (1, 2, 4, 8)
"""Steps ahead at which held-out experience is imagined."""


class LaggedModels(nn.Module):
    """Two earlier versions of the dynamics; the older is never younger than `rounds` rounds.

    Args:
        net: the dynamics as they begin.
        rounds: training rounds between the two.
    """

    counted: Tensor

    def __init__(self, net: ForwardDynamics, rounds: int) -> None:
        super().__init__()
        self.rounds = rounds
        self.old, self.older = self._copy(net), self._copy(net)
        self.register_buffer("counted", torch.zeros((), dtype=torch.int64))

    @staticmethod
    def _copy(net: ForwardDynamics) -> ForwardDynamics:
        copied = copy.deepcopy(net).requires_grad_(False)
        # Of an earlier version only what it expected matters.
        copied.ensemble = copied.error_model = copied.novelty = None
        return copied

    def age(self, net: ForwardDynamics) -> None:
        """Count a round; where it is time, what was old becomes older and the present old."""
        self.counted += 1
        if self.counted % self.rounds == 0:
            self.older.load_state_dict(self.old.state_dict())
            present, names = net.state_dict(), self.old.state_dict()
            self.old.load_state_dict({name: present[name] for name in names})


def symlog(x: Tensor) -> Tensor:
    """Return sign(x) log(1 + |x|), which squeezes rewards of unknown scale (arXiv:2301.04104)."""
    return x.sign() * x.abs().log1p()


class SioConvDynamics(Learner):
    """SioConv forward dynamics, trained on slices of the newest steps.

    Args:
        latent: tokens and features [P, D] of the latents.
        state: blocks and width [depth, dim] of the SioConv stack, which is its recurrent state.
        action_choices: choices of each action category.
        heads: heads of each block.
        core: the sequence core, SioConv or its elementwise variant SioConvPS.
        mix_features: size the latent is squeezed to.
        dropout: dropout probability while training.
        lr: learning rate of AdamW.
        weight_decay: weight decay of AdamW, not on biases and 1-D parameters.
        action_coef: weight of predicting the next action.
        reward_coef: weight of predicting the reward.
        imagined_steps: steps ahead that are imagined in closed loop and learned from as well, from
            some steps of each slice; 0 for none.
        imagination_coef: weight of the squared error of what is imagined.
        burn_in: first steps of a slice that only warm the state up.
        slice_length: steps of a slice that are predicted from, burn-in included.
        capacity: steps remembered, the newest ones.
        batch_size: slices of one update.
        updates: updates of a training round.
        max_version_lag: older rows, counted in encoder versions, are not sampled.
        gradient_clip: largest norm of the gradient.
        aux_heads: heads that some rewards need: `ensemble`, `progress`, `novelty`;
            the agent adds those that its rewards need.
        progress_rounds: training rounds between the versions whose error `progress` expects.
    """

    # What rewards need: other runs may have had other rewards.
    optional_prefixes = ("net.ensemble.", "net.error_model.", "net.novelty.", "lagged.")
    required_keys = (
        "index",
        "latent",
        "state",
        "action",
        "reward",
        "is_first",
        "valid",
        "versions",
    )

    def __init__(
        self,
        latent: tuple[int, int],
        state: tuple[int, int],
        action_choices: tuple[int, ...] = (3, 3, 3, 2, 2),
        heads: int = 8,
        core: Literal["sioconv", "sioconv_ps"] = "sioconv",
        mix_features: int = 64,
        dropout: float = 0.1,
        lr: float = 1e-4,
        weight_decay: float = 0.01,
        action_coef: float = 0.1,
        reward_coef: float = 0.1,
        imagined_steps: int = 0,
        imagination_coef: float = 1.0,
        burn_in: int = 16,
        slice_length: int = 256,
        capacity: int = 1000,
        batch_size: int = 4,
        updates: int = 64,
        max_version_lag: int = 16,
        gradient_clip: float = 1.0,
        aux_heads: tuple[AuxHead, ...] = (),
        progress_rounds: int = 4,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.require_positive(
            "heads", "mix_features", "slice_length", "capacity", "batch_size", "updates", "lr"
        )
        self.require_positive("progress_rounds")
        if not 0 <= burn_in < slice_length:
            raise ValueError(f"burn_in {burn_in} must be below slice_length {slice_length}")
        if not 0 <= imagined_steps <= slice_length - max(burn_in, 1):
            raise ValueError(
                f"imagined_steps {imagined_steps} must be at most slice_length {slice_length} less "
                f"burn_in {burn_in}"
            )
        if capacity < slice_length + 1:
            raise ValueError(
                f"capacity {capacity} must be at least slice_length {slice_length} + 1"
            )
        self.lr, self.weight_decay, self.gradient_clip = lr, weight_decay, gradient_clip
        self.action_coef, self.reward_coef, self.burn_in = action_coef, reward_coef, burn_in
        self.imagined_steps, self.imagination_coef = imagined_steps, imagination_coef
        self._shared_shapes = {
            "latent": (latent[0], latent[1]),
            "state": (state[0], state[1]),
            "action_choices": tuple(action_choices),
        }
        self._replay_spec = ReplaySpec(
            "sequence",
            capacity,
            batch_size,
            updates,
            # One more: the last step of a slice is only predicted.
            length=slice_length + 1,
            max_version_lag=max_version_lag,
        )
        self.net = ForwardDynamics(
            (latent[0], latent[1]),
            tuple(action_choices),
            depth=state[0],
            dim=state[1],
            heads=heads,
            mix_features=mix_features,
            dropout=dropout,
            core=core,
            aux_heads=aux_heads,
        )
        self.lagged = LaggedModels(self.net, progress_rounds) if "progress" in aux_heads else None

    @property
    def acting_module(self) -> ForwardDynamics:
        """Latent, action and state -> prediction and new state."""
        return self.net

    @property
    def replay(self) -> ReplaySpec:
        """Unbroken slices of the newest steps."""
        return self._replay_spec

    def shared_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return what it takes, and the state it makes."""
        return dict(self._shared_shapes)

    @torch.no_grad()
    def on_rollout(self, steps: TensorDict) -> None:
        """Log the one-step error on a window never trained on, beside that of copying the last."""
        if self.lagged is not None:
            self.lagged.age(self.net)
        steps = steps.to(self.device)
        self.net.eval()
        prediction, _ = self.net(
            steps["latent"][None, :-1],
            steps["action"][None, :-1],
            steps["state"][None, 0],
            steps["is_first"][None, :-1],
        )
        self.net.train()
        valid = is_transition(steps)
        # The stored state was made by older weights.
        valid[: min(self.burn_in, len(valid) // 2)] = False
        if not valid.any():
            return
        goal, now = steps["latent"][1:][valid], steps["latent"][:-1][valid]
        error, copied = mean_square(prediction.mean[0, valid] - goal), mean_square(now - goal)
        self.log_later(
            {
                "online_latent_error": error,
                "online_copy_last_error": copied,
                "online_error_ratio": error / copied.clamp(min=1e-12),
            }
        )

    def training_step(self, batch: TensorDict, batch_idx: int) -> Tensor:
        """Predict each step of (B, T+1) slices from the one before, the burn-in left out."""
        prediction, states = self.net(
            batch["latent"][:, :-1], batch["action"][:, :-1], batch["state"][:, 0]
        )
        scored = slice(self.burn_in, None)
        mean, log_var = prediction.mean[:, scored].float(), prediction.log_var[:, scored].float()
        goal = batch["latent"][:, 1:][:, scored]
        nll = normal_nll(goal, mean, log_var).mean()
        action_loss = self._action_loss(
            prediction.action_logits[:, scored], batch["action"][:, 1:][:, scored]
        )
        reward_loss = F.smooth_l1_loss(
            prediction.reward[:, scored].float(), symlog(batch["reward"][:, 1:][:, scored])
        )
        loss = nll + self.action_coef * action_loss + self.reward_coef * reward_loss
        if self.imagined_steps:
            imagined = self._imagination_loss(batch, states)
            loss = loss + self.imagination_coef * imagined
            self.log("imagination_loss", imagined)
        beside = self._extra_losses(batch, prediction)
        self.log_dict(
            {
                "loss": loss,
                **beside,
                "nll": nll,
                "latent_error": mean_square(mean - goal),
                "copy_last_error": mean_square(batch["latent"][:, :-1][:, scored] - goal),
                "action_loss": action_loss,
                "reward_loss": reward_loss,
                "log_var": log_var.mean(),
            }
        )
        return loss + sum(beside.values(), torch.zeros((), device=loss.device))

    def _imagination_loss(self, batch: TensorDict, states: Tensor) -> Tensor:
        """Return the squared error of futures imagined from every `imagined_steps`-th step.

        The state they begin with is taken as it is; the gradient goes through what is imagined.
        """
        ahead, last = self.imagined_steps, batch["latent"].shape[1] - 1
        begin = torch.arange(max(self.burn_in, 1), last - ahead + 1, ahead, device=states.device)
        rows = begin[:, None] + torch.arange(ahead, device=states.device)
        latent = batch["latent"][:, begin].flatten(0, 1)
        action = batch["action"][:, rows].flatten(0, 1)
        # The state before a step is the one after the step before it.
        state = states[:, begin - 1].detach().flatten(0, 1)
        goal = batch["latent"][:, rows + 1].flatten(0, 1)
        return mean_square(self.net.imagine(latent, action, state).float() - goal)

    def _extra_losses(self, batch: TensorDict, prediction: Prediction) -> Mapping[str, Tensor]:
        """Return the losses of what only some rewards need; none of them touches the dynamics."""
        losses: dict[str, Tensor] = {}
        scored = slice(self.burn_in, None)
        goal = batch["latent"][:, 1:][:, scored]
        if prediction.ensemble_means is not None:
            losses["ensemble_loss"] = mean_square(
                prediction.ensemble_means[:, :, scored].float() - goal
            )
        if prediction.expected_error is not None and self.lagged is not None:
            with torch.no_grad():
                before, _ = self.lagged.older.eval()(
                    batch["latent"][:, :-1], batch["action"][:, :-1], batch["state"][:, 0]
                )
            error = (before.mean[:, scored].float() - goal).square().mean(dim=(-2, -1))
            expected = prediction.expected_error[:, scored].float()
            losses["error_model_loss"] = F.mse_loss(expected, error)
        if self.net.novelty is not None:
            losses["novelty_loss"] = self.net.novelty(batch["latent"]).mean()
        return losses

    def clip_groups(self) -> list[list[nn.Parameter]]:
        """Clip the dynamics as if there were no aux_heads."""
        parts = (self.net.ensemble, self.net.error_model, self.net.novelty)
        groups = [list(part.parameters()) for part in parts if part is not None]
        extra = {id(parameter) for group in groups for parameter in group}
        return [[p for p in self.parameters() if id(p) not in extra], *groups]

    @torch.no_grad()
    def validation_step(self, batch: TensorDict, batch_idx: int) -> None:
        """Log how well an unbroken stretch [N] never trained on is imagined.

        For each of `HORIZONS`, the squared error of the latents imagined from every row with the
        actions really taken, that with the actions of other rows, and that of copying the row's
        own latent.
        """
        furthest = HORIZONS[-1]
        count = len(batch) - furthest
        if count <= self.burn_in:
            return
        blank = torch.zeros(1, *self.net.state_shape, device=batch["latent"].device)
        _, after = self.net(batch["latent"][None], batch["action"][None], blank)
        before = torch.cat([blank, after[0, :-1]])
        rows = torch.arange(self.burn_in, count, device=blank.device)
        ahead = rows[:, None] + torch.arange(furthest, device=blank.device)
        latent, goal = batch["latent"], batch["latent"][ahead + 1]
        other = ahead[torch.randperm(len(rows), device=blank.device)]
        true = self.net.imagine(latent[rows], batch["action"][ahead], before[rows]) - goal
        shuffled = self.net.imagine(latent[rows], batch["action"][other], before[rows]) - goal
        copied = latent[rows][:, None] - goal
        for steps in HORIZONS:
            for name, error in (("true", true), ("shuffled", shuffled), ("copied", copied)):
                self.log(
                    f"{name}_error_{steps}",
                    mean_square(error[:, steps - 1]),
                    on_epoch=True,
                    batch_size=len(rows),
                )

    @torch.no_grad()
    def predict_step(self, batch: TensorDict, batch_idx: int) -> dict[str, Tensor]:
        """Return what a window [N] was expected to go on with after each of its steps.

        The state is blank before the first and goes on over them, blank again after a break.
        """
        blank = torch.zeros(1, *self.net.state_shape, device=batch["latent"].device)
        fresh = batch["is_first"].clone()
        fresh[1:] |= batch["index"].diff() != 1
        prediction, _ = self.net(batch["latent"][None], batch["action"][None], blank, fresh[None])
        wanted = ("mean", "log_var", "action_logits", "reward")
        return {name: getattr(prediction, name)[0].float() for name in wanted}

    def _action_loss(self, logits: Tensor, action: Tensor) -> Tensor:
        """Return the cross-entropy of the next action, averaged over its categories."""
        choices = self._shared_shapes["action_choices"]
        parts = logits.float().flatten(0, 1).split(choices, dim=-1)
        each = [F.cross_entropy(p, action[..., i].flatten()) for i, p in enumerate(parts)]
        return torch.stack(each).mean()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW."""
        return torch.optim.AdamW(self.decay_groups(self.weight_decay), lr=self.lr)
