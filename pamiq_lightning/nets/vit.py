"""Vision Transformer over image patches, and the narrow predictor of I-JEPA.

Source: Dosovitskiy et al. 2021 (arXiv:2010.11929); Assran et al. 2023 (arXiv:2301.08243).
Letters: B batch, N tokens given, T tokens of the whole grid, P tokens handed on, E width, D latent
features, H and W pixels.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn

LAYER_NORM_EPS = 1e-6


def standardise(frames: UInt8[Tensor, "B 3 H W"]) -> Float[Tensor, "B 3 H W"]:
    """Bring every frame to mean 0 and standard deviation 1 over all its pixels and colours."""
    x = frames.float()
    mean = x.mean(dim=(1, 2, 3), keepdim=True)
    std = x.std(dim=(1, 2, 3), keepdim=True, unbiased=False)
    return (x - mean) / (std + 1e-6)


def sincos_positions(grid: int, width: int) -> Float[Tensor, "T E"]:
    """Return fixed 2-D sin-cos positions for a square grid, half of the features for each axis.

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


def gather_tokens(tokens: Float[Tensor, "B T E"], keep: Int[Tensor, "B N"]) -> Tensor:
    """Pick each image's tokens `keep` (B, N) out of (B, T, E), giving (B, N, E)."""
    return tokens.gather(1, keep[..., None].expand(-1, -1, tokens.shape[-1]))


def init_linear(layer: nn.Linear | nn.Conv2d, std: float = 0.02) -> None:
    """Truncated-normal weights, zero bias."""
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

    def forward(self, x: Float[Tensor, "B N E"]) -> Float[Tensor, "B N E"]:
        """Let the tokens look at each other, then think alone."""
        B, N, E = x.shape
        qkv = self.qkv(self.norm1(x)).view(B, N, 3, self.heads, E // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v)
        x = x + self.proj(mixed.transpose(1, 2).reshape(B, N, E))
        out: Tensor = x + self.fc2(F.gelu(self.fc1(self.norm2(x))))
        return out


def _blocks(width: int, depth: int, heads: int) -> nn.ModuleList:
    """Make blocks: truncated normal 0.02, residual outputs divided by sqrt(2 * layer).

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
    """ViT whose tokens can be dropped before the first block, which is where masking saves work.

    Args:
        image_size: height and width of a frame, in pixels.
        patch_size: side of a patch, in pixels.
        width: features of a token inside (E).
        depth: blocks.
        heads: attention heads.
        out_dim: features of a token that comes out (D).
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
        # By fan-in, not 0.02: on small patches the content would else enter far below the
        # positions, and the model would collapse to positions while its loss looks excellent.
        init_linear(self.patches, std=1 / math.sqrt(3 * patch_size**2))

    def forward(
        self, x: Float[Tensor, "B 3 H W"], keep: Int[Tensor, "B N"] | None = None
    ) -> Float[Tensor, "B N D"]:
        """Encode standardised frames; with `keep`, only those patches are seen and returned."""
        tokens = self.patches(x).flatten(2).transpose(1, 2) + self.positions
        if keep is not None:
            tokens = gather_tokens(tokens, keep)
        for block in self.blocks:
            tokens = block(tokens)
        out: Tensor = self.out(self.norm(tokens))
        return out


class MaskedPredictor(nn.Module):
    """Narrow ViT that predicts the latents of hidden patches from those of the visible ones.

    Args:
        grid: patches along a side.
        latent_dim: features of a latent token (D).
        width: features inside.
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
        context: Float[Tensor, "B N D"],
        keep: Int[Tensor, "B N"],
        targets: Int[Tensor, "B K M"],
    ) -> Float[Tensor, "B K M D"]:
        """Predict K hidden blocks of M patches each; every block is predicted on its own."""
        B, K, M = targets.shape
        visible = self.enter(context) + self.positions[keep]
        hidden = (self.mask_token + self.positions[targets]).flatten(0, 1)
        tokens = torch.cat([visible.repeat_interleave(K, 0), hidden], dim=1)
        for block in self.blocks:
            tokens = block(tokens)
        out: Tensor = self.out(self.norm(tokens[:, -M:]))
        return out.view(B, K, M, -1)


class LatentEncoder(nn.Module):
    """What acts: frame -> latent, layer-normed (no affine) over D, optionally pooled k x k.

    Args:
        vit: the (target) encoder; shared, not copied.
        pool: side of the square of patches averaged into one latent token.
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
        # Normed after pooling, so that every token that others see has the same scale.
        return F.layer_norm(tokens, tokens.shape[-1:])
