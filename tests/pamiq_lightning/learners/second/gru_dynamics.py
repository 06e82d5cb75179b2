"""GRU forward dynamics, role dynamics."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from tensordict import TensorDict
from torch import Tensor, nn

from pamiq_lightning.learners.base import Learner, ReplaySpec, mean_square
from pamiq_lightning.learners.imagination import imagination_errors
from pamiq_lightning.nets.forward_dynamics import Prediction


class GRUNet(nn.Module):
    """Stacked GRU cells, whose hidden states are the recurrent state (L, N)."""

    novelty = None

    def __init__(
        self, latent: tuple[int, int], state: tuple[int, int], choices: tuple[int, ...]
    ) -> None:
        super().__init__()
        self.latent, self.state_shape, self.choices = latent, state, choices
        sizes = [latent[0] * latent[1] + sum(choices), *[state[1]] * (state[0] - 1)]
        self.cells = nn.ModuleList(nn.GRUCell(size, state[1]) for size in sizes)
        outputs = (latent[0] * latent[1], latent[0] * latent[1], sum(choices), 1)
        self.heads = nn.ModuleList(nn.Linear(state[1], size) for size in outputs)

    def step(
        self,
        latent: Float[Tensor, "B P D"],
        action: Int[Tensor, "B A"],
        state: Float[Tensor, "B L N"],
    ) -> tuple[Prediction, Float[Tensor, "B L N"]]:
        parts = [F.one_hot(action[:, i], n) for i, n in enumerate(self.choices)]
        x = torch.cat([latent.flatten(1), *parts], dim=1)
        states = []
        for cell, before in zip(self.cells, state.unbind(1), strict=True):
            x = cell(x, before)
            states.append(x)
        change, log_var, logits, reward = (head(x) for head in self.heads)
        mean = latent + change.unflatten(1, self.latent)
        prediction = Prediction(mean, log_var.unflatten(1, self.latent), logits, reward.squeeze(1))
        return prediction, torch.stack(states, dim=1)

    def forward(
        self,
        latent: Float[Tensor, "B T P D"],
        action: Int[Tensor, "B T A"],
        state: Float[Tensor, "B L N"],
        is_first: Bool[Tensor, "B T"] | None = None,
    ) -> tuple[Prediction, Float[Tensor, "B T L N"]]:
        predictions, states = [], []
        for t in range(latent.shape[1]):
            if is_first is not None:
                state = state * ~is_first[:, t, None, None]
            prediction, state = self.step(latent[:, t], action[:, t], state)
            predictions.append(prediction[:4])
            states.append(state)
        fields = (torch.stack(field, dim=1) for field in zip(*predictions, strict=True))
        return Prediction(*fields), torch.stack(states, dim=1)


class GRUDynamics(Learner):
    """Predicts the next latent by squared error."""

    required_keys = ("index", "latent", "state", "action", "is_first", "valid", "versions")

    def __init__(
        self,
        latent: tuple[int, int],
        state: tuple[int, int],
        action_choices: tuple[int, ...] = (3, 3, 3, 2, 2),
        updates: int = 2,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.state_shape = (state[0], state[1])
        self.replay = ReplaySpec("sequence", 200, 4, updates, length=9)
        self.net = GRUNet((latent[0], latent[1]), self.state_shape, tuple(action_choices))
        net = self.net
        self.shared_shapes = {
            "latent": net.latent,
            "state": net.state_shape,
            "action_choices": net.choices,
        }

    @property
    def acting_module(self) -> GRUNet:
        return self.net

    def step(
        self, latent: Tensor, action: Tensor, state: Tensor
    ) -> tuple[Prediction, Float[Tensor, "B L N"]]:
        return self.net.step(latent, action, state)

    def forward(
        self, latent: Tensor, action: Tensor, state: Tensor, is_first: Tensor | None = None
    ) -> tuple[Prediction, Tensor]:
        predicted: tuple[Prediction, Tensor] = self.net(latent, action, state, is_first)
        return predicted

    def imagine(
        self,
        latent: Float[Tensor, "B P D"],
        action: Int[Tensor, "B K A"],
        state: Float[Tensor, "B L N"],
    ) -> Float[Tensor, "B K P D"]:
        latents = []
        for taken in action.unbind(1):
            prediction, state = self.step(latent, taken, state)
            latent = prediction.mean
            latents.append(latent)
        return torch.stack(latents, dim=1)

    def training_step(self, batch: TensorDict, batch_idx: int) -> Tensor:
        latent = batch["latent"]
        prediction, _ = self(latent[:, :-1], batch["action"][:, :-1], batch["state"][:, 0])
        loss = mean_square(prediction.mean - latent[:, 1:])
        self.log("loss", loss)
        return loss

    def validation_step(self, batch: TensorDict, batch_idx: int) -> None:
        errors, rows = imagination_errors(self, batch, burn_in=4)
        if errors:
            self.log_dict(errors, on_epoch=True, batch_size=rows)

    def predict_step(self, batch: TensorDict, batch_idx: int) -> dict[str, Tensor]:
        blank = torch.zeros(1, *self.state_shape, device=batch["latent"].device)
        prediction, _ = self(batch["latent"][None], batch["action"][None], blank)
        return {"mean": prediction.mean[0]}

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=1e-3)
