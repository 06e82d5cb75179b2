"""Vision Transformer over image patches, and the narrow predictor of I-JEPA.

Source: Dosovitskiy et al. 2021 (arXiv:2010.11929); Assran et al. 2023 (arXiv:2301.08243).
Letters: B batch, G patches of the whole grid, S patches given, K target blocks of M patches, P
tokens of a latent, E width, D latent features, H W pixels.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn

LAYER_NORM_EPS = 1e-6


def standardise(frames: UInt8[Tensor, "B 3 H W"]) -> Float[Tensor, "B 3 H W"]:
    """Scale each frame to mean 0 and standard deviation 1 over all its pixels and colours."""
    x = frames.float()
    mean = x.mean(dim=(1, 2, 3), keepdim=True)
    std = x.std(dim=(1, 2, 3), keepdim=True, unbiased=False)
    return (x - mean) / (std + 1e-6)


def sincos_positions(grid: int, width: int) -> Float[Tensor, "G E"]:
    """Return fixed 2-D sin-cos position embeddings of a square grid, half the features per axis.

    Raises:
        ValueError: the width is not a multiple of 4.
    """
    if width % 4:
        raise ValueError(f"2-D sin-cos positions need a width that 4 divides, got {width}")
    quarter = width // 4
    rates = 1.0 / 10000 ** (torch.arange(quarter, dtype=torch.float64) / quarter)
    angles = torch.arange(grid, dtype=torch.float64)[:, None] * rates
    axis = torch.cat([angles.sin(), angles.cos()], dim=1)
    rows = axis[:, None].expand(grid, grid, -1)
    columns = axis[None, :].expand(grid, grid, -1)
    return torch.cat([rows, columns], dim=2).reshape(grid * grid, width).float()


def gather_tokens(tokens: Float[Tensor, "B G E"], keep: Int[Tensor, "B S"]) -> Tensor:
    """Return the tokens (B, S, E) with the indices `keep` (B, S)."""
    return tokens.gather(1, keep[..., None].expand(-1, -1, tokens.shape[-1]))


def init_linear(layer: nn.Linear | nn.Conv2d, std: float = 0.02) -> None:
    """Initialise with truncated-normal weights and zero bias."""
    nn.init.trunc_normal_(layer.weight, std=std)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


class Block(nn.Module):
    """Pre-norm Transformer block: attention with qkv bias, then a GELU MLP four times as wide."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width, eps=LAYER_NORM_EPS)
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width, eps=LAYER_NORM_EPS)
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x: Float[Tensor, "B S E"]) -> Float[Tensor, "B S E"]:
        """Apply attention, then the MLP."""
        B, S, E = x.shape
        qkv = self.qkv(self.norm1(x)).view(B, S, 3, self.heads, E // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v)
        x = x + self.proj(mixed.transpose(1, 2).reshape(B, S, E))
        out: Tensor = x + self.fc2(F.gelu(self.fc1(self.norm2(x))))
        return out


def _blocks(width: int, depth: int, heads: int) -> nn.ModuleList:
    """Build blocks: truncated normal 0.02, residual outputs divided by sqrt(2 * layer).

    Source: I-JEPA, appendix A.1.
    """
    blocks = [Block(width, heads) for _ in range(depth)]
    for layer, block in enumerate(blocks, start=1):
        for linear in (block.qkv, block.proj, block.fc1, block.fc2):
            init_linear(linear)
        with torch.no_grad():
            block.proj.weight.div_(math.sqrt(2 * layer))
            block.fc2.weight.div_(math.sqrt(2 * layer))
    return nn.ModuleList(blocks)


class VisionTransformer(nn.Module):
    """ViT in which masked patches are dropped before the first block, which saves their cost.

    Args:
        image_size: height and width of a frame, in pixels.
        patch_size: side of a patch, in pixels.
        width: hidden features of a token (E).
        depth: blocks.
        heads: attention heads.
        out_dim: features of an output token (D).

    Raises:
        ValueError: the sizes do not divide each other.
    """

    positions: Tensor

    def __init__(
        self, image_size: int, patch_size: int, width: int, depth: int, heads: int, out_dim: int
    ) -> None:
        super().__init__()
        if image_size % patch_size:
            raise ValueError(f"patch_size {patch_size} does not divide image_size {image_size}")
        if width % heads:
            raise ValueError(f"heads {heads} does not divide the width {width}")
        self.grid = image_size // patch_size
        self.patches = nn.Conv2d(3, width, patch_size, patch_size)
        self.register_buffer("positions", sincos_positions(self.grid, width), persistent=False)
        self.blocks = _blocks(width, depth, heads)
        self.norm = nn.LayerNorm(width, eps=LAYER_NORM_EPS)
        self.out = nn.Linear(width, out_dim)
        init_linear(self.out)
        # By fan-in, not 0.02: with small patches the content would be far smaller than the position
        # embeddings, and the model would collapse to positions at a very low loss.
        init_linear(self.patches, std=1 / math.sqrt(3 * patch_size**2))

    def forward(
        self, x: Float[Tensor, "B 3 H W"], keep: Int[Tensor, "B S"] | None = None
    ) -> Float[Tensor, "B S D"]:
        """Encode standardised frames; with `keep`, only those patches are encoded and returned."""
        tokens = self.patches(x).flatten(2).transpose(1, 2) + self.positions
        if keep is not None:
            tokens = gather_tokens(tokens, keep)
        for block in self.blocks:
            tokens = block(tokens)
        out: Tensor = self.out(self.norm(tokens))
        return out


class MaskedPredictor(nn.Module):
    """Narrow ViT that predicts the latents of masked patches from those of the visible ones.

    Args:
        grid: patches along a side.
        latent_dim: features of a latent token (D).
        width: hidden features of a token.
        depth: blocks.
        heads: attention heads.
    """

    positions: Tensor

    def __init__(self, grid: int, latent_dim: int, width: int, depth: int, heads: int) -> None:
        super().__init__()
        self.enter = nn.Linear(latent_dim, width)
        self.mask_token = nn.Parameter(torch.zeros(width))
        self.register_buffer("positions", sincos_positions(grid, width), persistent=False)
        self.blocks = _blocks(width, depth, heads)
        self.norm = nn.LayerNorm(width, eps=LAYER_NORM_EPS)
        self.out = nn.Linear(width, latent_dim)
        nn.init.trunc_normal_(self.mask_token, std=0.02)
        init_linear(self.enter)
        init_linear(self.out)

    def forward(
        self,
        context: Float[Tensor, "B S D"],
        keep: Int[Tensor, "B S"],
        targets: Int[Tensor, "B K M"],
    ) -> Float[Tensor, "B K M D"]:
        """Predict K masked blocks of M patches each, independently of each other."""
        B, K, M = targets.shape
        visible = self.enter(context) + self.positions[keep]
        hidden = (self.mask_token + self.positions[targets]).flatten(0, 1)
        tokens = torch.cat([visible.repeat_interleave(K, 0), hidden], dim=1)
        for block in self.blocks:
            tokens = block(tokens)
        out: Tensor = self.out(self.norm(tokens[:, -M:]))
        return out.view(B, K, M, -1)


class LatentEncoder(nn.Module):
    """The acting encoder: frame -> latent, layer-normed (no affine) over D, optionally pooled.

    Args:
        vit: the (target) encoder; shared, not copied.
        pool: side of the square of patches averaged into one latent token.

    Raises:
        ValueError: the pool does not divide the grid.
    """

    def __init__(self, vit: VisionTransformer, pool: int = 1) -> None:
        super().__init__()
        if vit.grid % pool:
            raise ValueError(f"pool {pool} does not divide the grid of {vit.grid} patches")
        self.vit = vit
        self.pool = pool

    def forward(self, frames: UInt8[Tensor, "B 3 H W"]) -> Float[Tensor, "B P D"]:
        """Encode frames into latents of (grid / pool)^2 tokens."""
        tokens = self.vit(standardise(frames))
        if self.pool > 1:
            grid = self.vit.grid
            image = tokens.transpose(1, 2).unflatten(2, (grid, grid))
            tokens = F.avg_pool2d(image, self.pool).flatten(2).transpose(1, 2)
        # After pooling: every token of a latent has the same scale.
        return F.layer_norm(tokens, tokens.shape[-1:])
