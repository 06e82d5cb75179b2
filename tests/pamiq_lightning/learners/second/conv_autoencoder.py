"""A convolutional autoencoder, role encoder."""

from __future__ import annotations

import torch
from jaxtyping import Float, UInt8
from tensordict import TensorDict
from torch import Tensor, nn

from pamiq_lightning.learners.base import Learner, ReplaySpec, mean_square
from pamiq_lightning.learners.collapse import content_std
from pamiq_lightning.nets.vit import standardise


class ConvEncoder(nn.Module):
    """Frames of S x S pixels -> (S / 12)^2 normalised tokens."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(3, 16, 4, 4), nn.GELU(), nn.Conv2d(16, features, 3, 3)
        )  # fmt: skip
        self.norm = nn.LayerNorm(features)

    def forward(self, frames: UInt8[Tensor, "B 3 H W"]) -> Float[Tensor, "B P D"]:
        tokens: Tensor = self.norm(self.net(standardise(frames)).flatten(2).transpose(1, 2))
        return tokens


class ConvAutoencoder(Learner):
    """Reconstructs standardised frames from latents."""

    required_keys = ("frame",)

    def __init__(self, latent: tuple[int, int], image_size: int = 48, updates: int = 2) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.frame_size, self.side = image_size, image_size // 12
        self.shared_shapes = {"latent": tuple(latent)}
        if latent[0] != self.side**2:
            raise ValueError(f"latent says {latent[0]} tokens, frames give {self.side**2}")
        self.replay = ReplaySpec("uniform", 500, 8, updates)
        self.encoder = ConvEncoder(latent[1])
        self.decoder = nn.ConvTranspose2d(latent[1], 3, 12, 12)

    @property
    def acting_module(self) -> ConvEncoder:
        return self.encoder

    def encode(self, frames: UInt8[Tensor, "B 3 H W"]) -> Float[Tensor, "B P D"]:
        latents: Tensor = self.encoder(frames)
        return latents

    def training_step(self, batch: TensorDict, batch_idx: int) -> Tensor:
        grid = self.encode(batch["frame"]).transpose(1, 2).unflatten(2, (self.side, self.side))
        loss = mean_square(self.decoder(grid) - standardise(batch["frame"]))
        self.log("loss", loss)
        return loss

    def validation_step(self, batch: TensorDict, batch_idx: int) -> None:
        self.log("feature_std", content_std(self.encode(batch["frame"])), batch_size=len(batch))

    def predict_step(self, batch: TensorDict, batch_idx: int) -> dict[str, Tensor]:
        return {"latent": self.encode(batch["frame"])}

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=1e-3)
