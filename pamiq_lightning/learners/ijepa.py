"""I-JEPA: an encoder that learns by predicting the latents of masked patches from visible ones.

Source: Assran et al. 2023, "Self-Supervised Learning from Images with a Joint-Embedding Predictive
Architecture" (arXiv:2301.08243). One thing is added: the variance and covariance terms of VICReg,
as in C-JEPA (Mo & Tong 2024, arXiv:2410.19560), here on the tokens without each position's mean.
Without them a small encoder on one continuous stream of frames collapses: its latents name the
position of a patch and nothing of its content, and the loss goes to 0.

Letters: B batch, T tokens of the whole grid, N tokens given, P latent tokens, D features.
"""

from __future__ import annotations

import copy
from collections import deque
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, UInt8
from tensordict import TensorDict
from torch import Tensor, nn

from pamiq_lightning.learners.base import Learner, ReplaySpec
from pamiq_lightning.learners.collapse import content_std, rank_me
from pamiq_lightning.learners.masks import MaskSampler
from pamiq_lightning.nets.vit import (
    LatentEncoder,
    MaskedPredictor,
    VisionTransformer,
    gather_tokens,
    standardise,
)

HEALTH_FRAMES = 64
"""Frames whose latents the collapse alarms are computed from."""
POSITION_MEAN_RATE = 0.05
"""Weight of the newest batch in the running mean of each position."""


def _copy_target_to_encoder(
    module: nn.Module, state_dict: dict[str, Any], prefix: str, *rest: object
) -> None:
    """Start the encoder from its target where a state dict lacks the encoder."""
    own, target = f"{prefix}encoder.", f"{prefix}target."
    if any(name.startswith(own) for name in state_dict):
        return
    for name in [name for name in state_dict if name.startswith(target)]:
        state_dict[own + name.removeprefix(target)] = state_dict[name]


class IJEPA(Learner):
    """I-JEPA with VICReg's terms; role encoder.

    Args:
        latent: tokens and features [P, D] of a latent, after pooling.
        image_size: height and width of a frame, in pixels.
        patch_size: side of a patch, in pixels.
        width: features of a token inside the encoder.
        depth: blocks of the encoder.
        heads: attention heads of the encoder.
        predictor_width: features of a token inside the predictor.
        predictor_depth: blocks of the predictor.
        predictor_heads: attention heads of the predictor.
        pool: side of the square of patches that are averaged into one latent token.
        variance_coef: weight of VICReg's variance term; 0 for I-JEPA as published.
        covariance_coef: weight of VICReg's covariance term; 0 for I-JEPA as published.
        ema: decay of the target encoder's moving average, per update.
        lr: learning rate of AdamW.
        weight_decay: weight decay of AdamW, not on biases and 1-D parameters.
        capacity: frames in the replay buffer.
        turnover: frames, as a multiple of the capacity, after which every frame of a full buffer
            has been replaced.
        batch_size: frames of one update.
        updates: updates of a training round.
    """

    required_keys = ("frame",)
    derived_prefixes = ("encoder.",)
    position_mean: Tensor
    """(T, D), running mean of each position; a token's content is what is left without it."""

    def __init__(
        self,
        latent: tuple[int, int],
        image_size: int = 144,
        patch_size: int = 12,
        width: int = 96,
        depth: int = 4,
        heads: int = 3,
        predictor_width: int = 48,
        predictor_depth: int = 2,
        predictor_heads: int = 2,
        pool: int = 1,
        variance_coef: float = 1.0,
        covariance_coef: float = 0.04,
        ema: float = 0.996,
        lr: float = 1e-4,
        weight_decay: float = 0.04,
        capacity: int = 20_000,
        turnover: float = 10.0,
        batch_size: int = 32,
        updates: int = 24,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.require_positive(
            "image_size patch_size width depth heads pool capacity batch_size updates "
            "lr predictor_width predictor_depth predictor_heads"
        )
        self.shared_shapes = {"latent": latent}
        self.frame_size, self.pool = image_size, pool
        self.variance_coef, self.covariance_coef = variance_coef, covariance_coef
        self.ema, self.lr, self.weight_decay = ema, lr, weight_decay
        self.replay = ReplaySpec("uniform", capacity, batch_size, updates, turnover=turnover)
        self.encoder = VisionTransformer(image_size, patch_size, width, depth, heads, latent[1])
        grid = self.encoder.grid
        if latent[0] * pool**2 != grid**2:
            raise ValueError(
                f"latent says {latent[0]} tokens, but {grid}x{grid} patches pooled {pool}x{pool} "
                f"give {grid**2 // pool**2}"
            )
        self.target = copy.deepcopy(self.encoder).requires_grad_(False)
        self.predictor = MaskedPredictor(
            grid, latent[1], predictor_width, predictor_depth, predictor_heads
        )
        # On a grid of fewer patches a context of ten would be most of the image.
        self.masks = MaskSampler(grid, min_keep=min(10, grid**2 // 8))
        self.register_buffer("position_mean", torch.zeros(grid**2, latent[1]))
        self.register_load_state_dict_pre_hook(_copy_target_to_encoder)  # type: ignore[no-untyped-call]
        self._recent: deque[Tensor] = deque(maxlen=-(-HEALTH_FRAMES // batch_size))

    @property
    def acting_module(self) -> LatentEncoder:
        """Frame -> LN(target encoder), pooled."""
        return LatentEncoder(self.target, self.pool)

    def encode(self, frames: UInt8[Tensor, "B 3 H W"]) -> Float[Tensor, "B P D"]:
        """Return the latents that act."""
        latents: Tensor = self.acting_module(frames)
        return latents

    def on_acting_restored(self) -> None:
        """Start the encoder from its target, which acts."""
        self.encoder.load_state_dict(self.target.state_dict())

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Save the latents of the collapse alarms too."""
        super().on_save_checkpoint(checkpoint)
        checkpoint["recent"] = list(self._recent)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Load them."""
        super().on_load_checkpoint(checkpoint)
        self._recent.extend(latents.to(self.device) for latents in checkpoint.get("recent", []))

    def on_rollout(self, steps: TensorDict) -> None:
        """Log how far the encoder has drifted from the latents that the agent computed.

        Offline there may be none, or those of an encoder of another shape.
        """
        if (
            "latent" not in steps
            or tuple(steps["latent"].shape[1:]) != self.shared_shapes["latent"]
        ):
            return
        some = steps[torch.linspace(0, len(steps) - 1, min(32, len(steps))).long()]
        with torch.no_grad():
            now = self.acting_module(some["frame"].to(self.device))
        drift = 1 - F.cosine_similarity(now, some["latent"].to(self.device), dim=-1).mean()
        self.log_later({"latent_drift": drift})

    def training_step(self, batch: TensorDict, batch_idx: int) -> Tensor:
        """Predict the latents of masked patches of frames (B, 3, H, W).

        Smooth L1 (beta 1) averaged over the target tokens, plus VICReg's terms.
        """
        images = standardise(batch["frame"])
        masks = self.masks(len(images))
        context, hidden = masks.context.to(self.device), masks.targets.to(self.device)
        with torch.no_grad():
            whole = self.target(images)
            normed = F.layer_norm(whole.float(), whole.shape[-1:])
            goal = gather_tokens(normed, hidden.flatten(1)).unflatten(1, hidden.shape[1:])
            rate = 1.0 if self.n_updates == 0 else POSITION_MEAN_RATE
            self.position_mean.lerp_(normed.mean(dim=0), rate)
        visible = self.encoder(images, context)
        predicted = self.predictor(visible, context, hidden)
        prediction_loss = F.smooth_l1_loss(predicted.float(), goal)
        variance_loss, covariance_loss = self._vicreg_losses(visible.float(), context)
        loss = (
            prediction_loss
            + self.variance_coef * variance_loss
            + self.covariance_coef * covariance_loss
        )
        self._log_collapse_alarms(batch["frame"])
        self.log_dict(
            {
                "loss": loss,
                "prediction_loss": prediction_loss,
                "variance_loss": variance_loss,
                "covariance_loss": covariance_loss,
                "context_tokens": float(context.shape[1]),
                "target_tokens": float(hidden.shape[2]),
            }
        )
        return loss

    @torch.no_grad()
    def validation_step(self, batch: TensorDict, batch_idx: int) -> None:
        """Log the content's standard deviation in steps [N] never trained on."""
        latents = self._encode_in_parts(batch["frame"])
        self.log("feature_std", content_std(latents), on_epoch=True, batch_size=len(latents))

    @torch.no_grad()
    def predict_step(self, batch: TensorDict, batch_idx: int) -> dict[str, Tensor]:
        """Return the latents (N, P, D) of a rollout [N]."""
        return {"latent": self._encode_in_parts(batch["frame"])}

    def _encode_in_parts(self, frames: UInt8[Tensor, "n 3 H W"]) -> Float[Tensor, "n P D"]:
        parts = frames.split(self.replay.batch_size)
        return torch.cat([self.encode(some).float() for some in parts])

    def _vicreg_losses(
        self, tokens: Float[Tensor, "B N D"], positions: Int[Tensor, "B N"]
    ) -> tuple[Tensor, Tensor]:
        """Return VICReg's variance hinge (at std 1) and covariance term of the tokens' content."""
        content = F.layer_norm(tokens, tokens.shape[-1:]) - self.position_mean[positions]
        content = content.flatten(0, 1)
        content = content - content.mean(dim=0)
        covariance = content.T @ content / (len(content) - 1)
        std = (covariance.diagonal() + 1e-4).sqrt()
        others = covariance - covariance.diagonal().diag()
        return F.relu(1 - std).mean(), others.square().sum() / len(others)

    @torch.no_grad()
    def _log_collapse_alarms(self, frames: Tensor) -> None:
        """Log them in the first updates of a round, from as many batches as it takes."""
        if int(self.n_updates) % self.replay.updates >= self._recent.maxlen:  # type: ignore[operator]
            return
        self._recent.append(self.encode(frames).float())
        latents = torch.cat(tuple(self._recent))
        if len(latents) >= HEALTH_FRAMES:
            self.log_dict({"rank_me": rank_me(latents), "feature_std": content_std(latents)})

    @torch.no_grad()
    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Move the target towards the encoder in float32: in bfloat16 an EMA this slow stalls."""
        super().on_train_batch_end(outputs, batch, batch_idx)
        pairs = zip(self.target.parameters(), self.encoder.parameters(), strict=True)
        for target, source in pairs:
            target.lerp_(source, 1 - self.ema)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW."""
        return torch.optim.AdamW(self.decay_groups(self.weight_decay), lr=self.lr)
