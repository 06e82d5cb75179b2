"""A convolutional decoder: reconstructs frames from latents, for people to look at."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from tensordict import TensorDict
from torch import Tensor

from pamiq_lightning.learners.base import Learner, ReplaySpec, mean_square
from pamiq_lightning.nets.latent_decoder import LatentDecoder
from pamiq_lightning.nets.vit import standardise


class ConvDecoder(Learner):
    """Draws the frame that a stored latent came from; role decoder. The encoder gets no gradient.

    Args:
        latent: tokens and features [P, D] of the latents.
        image_size: side of the image drawn, in pixels.
        channels: channels of the convolutions.
        lr: learning rate of AdamW.
        capacity: steps in the replay buffer.
        turnover: steps, as a multiple of the capacity, after which every step of a full buffer has
            been replaced.
        batch_size: steps of one update.
        updates: updates of a training round.
    """

    required_keys = ("frame", "latent")

    def __init__(
        self,
        latent: tuple[int, int],
        image_size: int = 96,
        channels: int = 32,
        lr: float = 1e-3,
        capacity: int = 2000,
        turnover: float = 2.0,
        batch_size: int = 8,
        updates: int = 1,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.require_positive("image_size channels capacity batch_size updates lr")
        self.shared_shapes, self.lr = {"latent": latent}, lr
        self.replay = ReplaySpec("uniform", capacity, batch_size, updates, turnover=turnover)
        self.net = LatentDecoder(latent, image_size, channels)
        self.image_size = image_size

    def decode(self, latents: Float[Tensor, "B P D"]) -> Float[Tensor, "B 3 h w"]:
        """Draw standardised images."""
        images: Tensor = self.net(latents)
        return images

    def training_step(self, batch: TensorDict, batch_idx: int) -> Tensor:
        """Mean squared error against the frames (B, 3, H, W), standardised and resized."""
        loss = self._error(batch)
        self.log("loss", loss)
        return loss

    @torch.no_grad()
    def validation_step(self, batch: TensorDict, batch_idx: int) -> None:
        """Log the same error on steps [N] never trained on."""
        parts = batch.split(self.replay.batch_size)
        errors = torch.stack([self._error(part) * len(part) for part in parts])
        error = errors.sum() / len(batch)
        self.log("reconstruction_error", error, on_epoch=True, batch_size=len(batch))

    @torch.no_grad()
    def predict_step(self, batch: TensorDict, batch_idx: int) -> dict[str, Tensor]:
        """Return the standardised images (N, 3, h, w) drawn for a rollout [N]."""
        parts = batch["latent"].split(self.replay.batch_size)
        return {"image": torch.cat([self.decode(some).float() for some in parts])}

    def _error(self, batch: TensorDict) -> Tensor:
        goal = F.interpolate(standardise(batch["frame"]), size=self.image_size, mode="area")
        return mean_square(self.decode(batch["latent"]).float() - goal)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW."""
        return torch.optim.AdamW(self.decay_groups(0.01), lr=self.lr)
