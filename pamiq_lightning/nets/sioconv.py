"""SioConv: a linear recurrence with a scalar decay per head, in parallel and in step form.

For head k of H with inner size I = dim / H and the layer's input x_t:
    a_t = exp(-exp(ln_a) * softplus(W_dt x_t + b_dt))          one scalar per head, in (0, 1)
    z_t = (W_z x_t) * SiLU(W_za x_t)
    h_t = a_t h_{t-1} + z_t
    y_t = W_y(GroupNorm(h_t)) * SiLU(W_ya x_t)
Source: Myxy's SioConv as used by ML Shukai's P-AMI<Q> (2024).
Letters: B batch, T time, H heads, I inner, N state size (dim), L layers (depth).
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import cast

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

CHUNK = 64


def decay_scan(
    ln_a: Float[Tensor, "B T H"],
    z: Float[Tensor, "B T H I"],
    state: Float[Tensor, "B H I"],
    is_first: Bool[Tensor, "B T"] | None = None,
    chunk: int = CHUNK,
) -> Float[Tensor, "B T H I"]:
    """Return every h_t = exp(ln_a_t) h_{t-1} + z_t, the state set to 0 before each `is_first`.

    Within a chunk all steps are one matrix product; the chunks are chained by their last state. No
    matrix is larger than chunk x chunk, so time and memory grow linearly with T.
    """
    outputs = []
    for start in range(0, z.shape[1], chunk):
        part = slice(start, start + chunk)
        resets = None if is_first is None else is_first[:, part]
        h = _scan_chunk(ln_a[:, part], z[:, part], state, resets)
        state = h[:, -1]
        outputs.append(h)
    return torch.cat(outputs, dim=1)


def _scan_chunk(
    ln_a: Float[Tensor, "B T H"],
    z: Float[Tensor, "B T H I"],
    state: Float[Tensor, "B H I"],
    resets: Bool[Tensor, "B T"] | None,
) -> Float[Tensor, "B T H I"]:
    """One chunk: h = S z + exp(cumsum ln_a) h_0 with S[l, m] = exp(sum of ln_a over m+1..l)."""
    T = z.shape[1]
    # Differences of sums lose digits where the sums are large (strong decay), so these are double.
    total = ln_a.double().cumsum(dim=1).transpose(1, 2)
    exponent = (total[..., :, None] - total[..., None, :]).to(z.dtype)
    past = torch.ones(T, T, dtype=torch.bool, device=z.device).tril()
    carried = torch.ones(1, 1, T, dtype=torch.bool, device=z.device)
    if resets is not None:
        segment = resets.cumsum(dim=1)
        past = (past & (segment[:, :, None] == segment[:, None, :]))[:, None]
        carried = (segment == 0)[:, None]
    S = exponent.masked_fill(~past, -math.inf).exp()
    from_start = total.to(z.dtype).masked_fill(~carried, -math.inf).exp()
    h = S @ z.transpose(1, 2) + from_start[..., None] * state[:, :, None]
    return h.transpose(1, 2)


class Recurrence(nn.Module):
    """h_t = a_t h_{t-1} + z_t in H heads, of which the variants differ in a, z and what is read.

    Args:
        dim: features in and out, and numbers of the state.
        heads: heads, each with its own decay.
    """

    chunk = CHUNK

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        if heads < 1 or dim % heads:
            raise ValueError(f"heads {heads} does not divide dim {dim}")
        self.heads, self.inner = heads, dim // heads

    @abstractmethod
    def decay_and_input(self, x: Float[Tensor, "*batch N"]) -> tuple[Tensor, Tensor]:
        """Return ln a (..., H) and z (..., H, I), in float32 whatever the autocast."""

    @abstractmethod
    def read(self, h: Float[Tensor, "*batch H I"], x: Float[Tensor, "*batch N"]) -> Tensor:
        """Return y (..., N) from the states h and the inputs x."""

    def forward(
        self,
        x: Float[Tensor, "B T N"],
        state: Float[Tensor, "B N"],
        is_first: Bool[Tensor, "B T"] | None = None,
    ) -> tuple[Float[Tensor, "B T N"], Float[Tensor, "B T N"]]:
        """Return the outputs and the state after every step."""
        ln_a, z = self.decay_and_input(x)
        start = state.float().unflatten(-1, (self.heads, self.inner))
        # In bfloat16 the sums of a slow decay would be wrong in the third digit.
        with torch.autocast(z.device.type, enabled=False):
            h = decay_scan(ln_a, z, start, is_first, self.chunk)
        return self.read(h, x), h.flatten(-2)

    def step(
        self, x: Float[Tensor, "B N"], state: Float[Tensor, "B N"]
    ) -> tuple[Float[Tensor, "B N"], Float[Tensor, "B N"]]:
        """One step of the same recurrence."""
        ln_a, z = self.decay_and_input(x)
        h = ln_a.exp()[..., None] * state.float().unflatten(-1, (self.heads, self.inner)) + z
        return self.read(h, x), h.flatten(-2)


def _init_small(*layers: nn.Linear) -> None:
    for linear in layers:
        nn.init.xavier_normal_(linear.weight, gain=1e-2)
        nn.init.zeros_(linear.bias)


class SioConv(Recurrence):
    """The recurrence at the head of this file."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__(dim, heads)
        self.w_z, self.w_za = nn.Linear(dim, dim), nn.Linear(dim, dim)
        self.w_y, self.w_ya = nn.Linear(dim, dim), nn.Linear(dim, dim)
        self.w_dt = nn.Linear(dim, heads)
        self.ln_a = nn.Parameter(torch.empty(heads).uniform_(1, 16).log())
        self.norm = nn.GroupNorm(heads, heads, eps=1e-5)
        _init_small(self.w_z, self.w_za, self.w_y, self.w_ya, self.w_dt)
        dt = torch.empty(heads).uniform_(math.log(0.001), math.log(0.1)).exp()
        with torch.no_grad():
            self.w_dt.bias.copy_(dt + torch.log(-torch.expm1(-dt)))

    def decay_and_input(self, x: Float[Tensor, "*batch N"]) -> tuple[Tensor, Tensor]:
        """Return ln a = -exp(ln_a) softplus(W_dt x + b) and z = (W_z x) * SiLU(W_za x)."""
        ln_a = -self.ln_a.exp() * F.softplus(self.w_dt(x).float())
        z = self.w_z(x) * F.silu(self.w_za(x))
        return ln_a, z.float().unflatten(-1, (self.heads, self.inner))

    def read(self, h: Float[Tensor, "*batch H I"], x: Float[Tensor, "*batch N"]) -> Tensor:
        """Return y = W_y(GroupNorm(h)) * SiLU(W_ya x)."""
        normed = self.norm(h.reshape(-1, self.heads, self.inner)).view(*h.shape[:-2], -1)
        y: Tensor = self.w_y(normed) * F.silu(self.w_ya(x))
        return y


class SioConvPS(Recurrence):
    """The later variant, elementwise: h_t = (1 - g_t) h_{t-1} + g_t z_t.

    g_t = sigmoid(W_dt x_t), z_t = sigmoid(W_z x_t), y_t = W_y h_t * SiLU(W_ya x_t). Every element
    is a head of its own, so `heads` is taken for the sake of one interface and not used.
    """

    # One matrix per element: short chunks keep them small.
    chunk = 16

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__(dim, dim)
        self.w_z, self.w_dt = nn.Linear(dim, dim), nn.Linear(dim, dim)
        self.w_y, self.w_ya = nn.Linear(dim, dim), nn.Linear(dim, dim)
        _init_small(self.w_z, self.w_y, self.w_ya, self.w_dt)

    def decay_and_input(self, x: Float[Tensor, "*batch N"]) -> tuple[Tensor, Tensor]:
        """Return ln(1 - g), and g z as the input."""
        gate = self.w_dt(x).float()
        # log(1 - sigmoid(u)) = logsigmoid(-u), without the cancellation.
        z = gate.sigmoid() * self.w_z(x).float().sigmoid()
        return F.logsigmoid(-gate), z[..., None]

    def read(self, h: Float[Tensor, "*batch H I"], x: Float[Tensor, "*batch N"]) -> Tensor:
        """Return y = W_y h * SiLU(W_ya x)."""
        y: Tensor = self.w_y(h.flatten(-2)) * F.silu(self.w_ya(x))
        return y


CORES: dict[str, type[SioConv | SioConvPS]] = {"sioconv": SioConv, "sioconv_ps": SioConvPS}


class SwiGLU(nn.Module):
    """W_out(W x * SiLU(W_act x)), hidden 2 * dim (Shazeer 2020, arXiv:2002.05202)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.w, self.w_act = nn.Linear(dim, 2 * dim), nn.Linear(dim, 2 * dim)
        self.w_out = nn.Linear(2 * dim, dim)

    def forward(self, x: Float[Tensor, "*batch N"]) -> Float[Tensor, "*batch N"]:
        """Apply the gated layer to the last dimension."""
        out: Tensor = self.w_out(self.w(x) * F.silu(self.w_act(x)))
        return out


class SioConvBlock(nn.Module):
    """x += Drop(core(RMSNorm x)); x += Drop(SwiGLU(RMSNorm x))."""

    def __init__(self, dim: int, heads: int, dropout: float, core: str) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.RMSNorm(dim, eps=1e-6), nn.RMSNorm(dim, eps=1e-6)
        self.core, self.mlp = CORES[core](dim, heads), SwiGLU(dim)
        self.drop = nn.Dropout(dropout)

    def _close(self, x: Tensor, y: Tensor) -> Tensor:
        x = x + self.drop(y)
        out: Tensor = x + self.drop(self.mlp(self.norm2(x)))
        return out

    def forward(self, x: Tensor, state: Tensor, is_first: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return outputs (B, T, N) and the state after every step (B, T, N)."""
        y, states = self.core(self.norm1(x), state, is_first)
        return self._close(x, y), states

    def step(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Return the output (B, N) and the new state (B, N)."""
        y, state = self.core.step(self.norm1(x), state)
        return self._close(x, y), state


class SioConvStack(nn.Module):
    """`depth` blocks that carry one state each: (B, depth, dim).

    Args:
        depth: blocks (L).
        dim: features (N).
        heads: heads of each block.
        dropout: probability, while training.
        core: `sioconv` or `sioconv_ps`.
    """

    def __init__(
        self, depth: int, dim: int, heads: int, dropout: float = 0.1, core: str = "sioconv"
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(SioConvBlock(dim, heads, dropout, core) for _ in range(depth))

    def forward(
        self,
        x: Float[Tensor, "B T N"],
        state: Float[Tensor, "B L N"],
        is_first: Bool[Tensor, "B T"] | None = None,
    ) -> tuple[Float[Tensor, "B T N"], Float[Tensor, "B T L N"]]:
        """Run a sequence; return the outputs and the states after every step."""
        states = []
        for layer, block in enumerate(self.blocks):
            x, after = block(x, state[:, layer], is_first)
            states.append(after)
        return x, torch.stack(states, dim=2)

    def step(
        self, x: Float[Tensor, "B N"], state: Float[Tensor, "B L N"]
    ) -> tuple[Float[Tensor, "B N"], Float[Tensor, "B L N"]]:
        """Run one step; return the output and the new state."""
        states = []
        for layer, block in enumerate(self.blocks):
            x, after = cast(SioConvBlock, block).step(x, state[:, layer])
            states.append(after)
        return x, torch.stack(states, dim=1)
