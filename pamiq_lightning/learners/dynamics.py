"""SioConv forward dynamics: predict the next latent and its variance, the next action, the reward.

Source: the forward dynamics of ML Shukai's P-AMI<Q> (2024). Their fixed variance is replaced by a
predicted one.

Shapes: `pamiq_lightning.learners.roles.Dynamics`.
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
from pamiq_lightning.learners.imagination import imagination_errors
from pamiq_lightning.nets.aux_heads import AuxHead
from pamiq_lightning.nets.forward_dynamics import ForwardDynamics, Prediction, normal_nll
from pamiq_lightning.shapes import ACTION_CHOICES
from pamiq_lightning.step import is_transition


class LaggedModels(nn.Module):
    """Two earlier versions of a net; the older is at least `rounds` rounds old.

    Args:
        net: the present version.
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
        # Only its prediction is needed.
        copied.ensemble = copied.error_model = copied.novelty = None
        return copied

    def age(self, net: ForwardDynamics) -> None:
        """Count a round; after every `rounds` of them, old becomes older and the present old."""
        self.counted += 1
        if self.counted % self.rounds == 0:
            self.older.load_state_dict(self.old.state_dict())
            present, names = net.state_dict(), self.old.state_dict()
            self.old.load_state_dict({name: present[name] for name in names})


def symlog(x: Tensor) -> Tensor:
    """Return sign(x) log(1 + |x|), which squeezes rewards of unknown scale (arXiv:2301.04104)."""
    return x.sign() * x.abs().log1p()


class SioConvDynamics(Learner):
    """SioConv forward dynamics, trained on sequences of the newest steps; role dynamics.

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
        imagined_steps: steps that a second loss predicts in closed loop; 0 for no such loss.
        imagination_coef: weight of that loss.
        burn_in: first steps of a sequence that only warm the state up.
        sequence_length: steps of a sequence that are predicted from, burn-in included.
        capacity: steps in the replay buffer, the newest ones.
        batch_size: sequences of one update.
        updates: updates of a training round.
        max_version_lag: steps whose encoder is more versions behind than this are not sampled.
        gradient_clip: largest norm of the gradient.
        aux_heads: heads that some rewards need: `ensemble`, `progress`, `novelty`; the agent adds
            those of its rewards.
        progress_rounds: training rounds between the two versions that `progress` compares.
    """

    # Rewards need these, and a checkpoint may come from a run with other rewards.
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
        action_choices: tuple[int, ...] = ACTION_CHOICES,
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
        sequence_length: int = 256,
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
            "heads mix_features sequence_length capacity batch_size updates lr progress_rounds"
        )
        if not 0 <= burn_in < sequence_length:
            raise ValueError(f"burn_in {burn_in} must be below sequence_length {sequence_length}")
        if not 0 <= imagined_steps <= sequence_length - max(burn_in, 1):
            raise ValueError(
                f"imagined_steps {imagined_steps} must be at most sequence_length "
                f"{sequence_length} less burn_in {burn_in}"
            )
        if capacity < sequence_length + 1:
            raise ValueError(
                f"capacity {capacity} must be at least sequence_length {sequence_length} + 1"
            )
        self.lr, self.weight_decay, self.gradient_clip = lr, weight_decay, gradient_clip
        self.action_coef, self.reward_coef, self.burn_in = action_coef, reward_coef, burn_in
        self.imagined_steps, self.imagination_coef = imagined_steps, imagination_coef
        self.shared_shapes = {"latent": latent, "state": state, "action_choices": action_choices}
        self.replay = ReplaySpec(
            "sequence",
            capacity,
            batch_size,
            updates,
            # One more: the last step of a sequence is only a target.
            length=sequence_length + 1,
            max_version_lag=max_version_lag,
        )
        self.net = ForwardDynamics(
            latent,
            action_choices,
            depth=state[0],
            dim=state[1],
            heads=heads,
            mix_features=mix_features,
            dropout=dropout,
            core=core,
            aux_heads=aux_heads,
        )
        self.state_shape = self.net.state_shape
        self.lagged = LaggedModels(self.net, progress_rounds) if "progress" in aux_heads else None

    @property
    def acting_module(self) -> ForwardDynamics:
        """The net: latent, action and state -> prediction and new state."""
        return self.net

    def forward(
        self, latent: Tensor, action: Tensor, state: Tensor, is_first: Tensor | None = None
    ) -> tuple[Prediction, Tensor]:
        """Predict the step after each of T."""
        predicted: tuple[Prediction, Tensor] = self.net(latent, action, state, is_first)
        return predicted

    def step(self, latent: Tensor, action: Tensor, state: Tensor) -> tuple[Prediction, Tensor]:
        """Predict the next step."""
        return self.net.step(latent, action, state)

    def imagine(self, latent: Tensor, action: Tensor, state: Tensor) -> Tensor:
        """Predict K latents in closed loop."""
        return self.net.imagine(latent, action, state)

    @torch.no_grad()
    def on_rollout(self, steps: TensorDict) -> None:
        """Log the one-step error on a rollout not trained on yet, beside that of copying."""
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
        # Older weights made the stored state.
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
        """Predict each step of sequences (B, T+1) from the one before, without the burn-in.

        Loss: Gaussian negative log-likelihood of the next latent, cross-entropy of the next action,
        smooth L1 of the reward in symlog space, and those of imagination and auxiliary heads.
        """
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
        aux_losses = self._aux_losses(batch, prediction)
        self.log_dict(
            {
                "loss": loss,
                **aux_losses,
                "nll": nll,
                "latent_error": mean_square(mean - goal),
                "copy_last_error": mean_square(batch["latent"][:, :-1][:, scored] - goal),
                "action_loss": action_loss,
                "reward_loss": reward_loss,
                "log_var": log_var.mean(),
            }
        )
        return loss + sum(aux_losses.values(), torch.zeros((), device=loss.device))

    def _imagination_loss(self, batch: TensorDict, states: Tensor) -> Tensor:
        """Return the squared error of latents imagined from every `imagined_steps`-th step.

        The gradient passes through the imagined latents, not into the state they start from.
        """
        ahead, last = self.imagined_steps, batch["latent"].shape[1] - 1
        starts = torch.arange(max(self.burn_in, 1), last - ahead + 1, ahead, device=states.device)
        rows = starts[:, None] + torch.arange(ahead, device=states.device)
        latent = batch["latent"][:, starts].flatten(0, 1)
        action = batch["action"][:, rows].flatten(0, 1)
        # The state before a step is the one after the step before it.
        state = states[:, starts - 1].detach().flatten(0, 1)
        goal = batch["latent"][:, rows + 1].flatten(0, 1)
        return mean_square(self.net.imagine(latent, action, state).float() - goal)

    def _aux_losses(self, batch: TensorDict, prediction: Prediction) -> Mapping[str, Tensor]:
        """Return the losses of the auxiliary heads; their gradients stay in the heads."""
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
        """Clip the dynamics as if there were no auxiliary heads."""
        heads = (self.net.ensemble, self.net.error_model, self.net.novelty)
        groups = [list(head.parameters()) for head in heads if head is not None]
        in_heads = {id(parameter) for group in groups for parameter in group}
        return [[p for p in self.parameters() if id(p) not in in_heads], *groups]

    @torch.no_grad()
    def validation_step(self, batch: TensorDict, batch_idx: int) -> None:
        """Log the errors of what is imagined from steps [N] never trained on."""
        errors, rows = imagination_errors(self, batch, self.burn_in)
        if errors:
            self.log_dict(errors, on_epoch=True, batch_size=rows)

    @torch.no_grad()
    def predict_step(self, batch: TensorDict, batch_idx: int) -> dict[str, Tensor]:
        """Return the prediction made after each step of a rollout [N].

        The state is blank before the first step and after every gap.
        """
        blank = torch.zeros(1, *self.state_shape, device=batch["latent"].device)
        first = batch["is_first"].clone()
        first[1:] |= batch["index"].diff() != 1
        prediction, _ = self.net(batch["latent"][None], batch["action"][None], blank, first[None])
        names = ("mean", "log_var", "action_logits", "reward")
        return {name: getattr(prediction, name)[0].float() for name in names}

    def _action_loss(self, logits: Tensor, action: Tensor) -> Tensor:
        """Return the cross-entropy of the next action, averaged over the categories."""
        choices = self.shared_shapes["action_choices"]
        parts = logits.float().flatten(0, 1).split(choices, dim=-1)
        each = [F.cross_entropy(p, action[..., i].flatten()) for i, p in enumerate(parts)]
        return torch.stack(each).mean()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW."""
        return torch.optim.AdamW(self.decay_groups(self.weight_decay), lr=self.lr)
