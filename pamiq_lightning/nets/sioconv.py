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
from typing import Any, cast

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

CHUNK = 32
"""Steps that follow one another in a chunk, while all chunks go side by side."""


def decay_scan(
    ln_a: Float[Tensor, "B T H"],
    z: Float[Tensor, "B T H I"],
    state: Float[Tensor, "B H I"],
    is_first: Bool[Tensor, "B T"] | None = None,
) -> Float[Tensor, "B T H I"]:
    """Return every h_t = exp(ln_a_t) h_{t-1} + z_t, the state set to 0 before each `is_first`.

    Time and memory grow linearly with T.
    """
    a = ln_a.double().exp()
    if is_first is not None:
        a = a.masked_fill(is_first[..., None], 0.0)
    h: Tensor = _scan(a, z, state)
    return h


# An operator of its own: autograd keeps only what its backward pass needs, and a compiler takes
# its many small steps as one.
@torch.library.custom_op(
    "pamiq_lightning::decay_scan",
    mutates_args=(),
    schema="(Tensor a, Tensor z, Tensor state) -> Tensor",
)
def _scan(a: Tensor, z: Tensor, state: Tensor) -> Tensor:
    """Return every h_t = a_t h_{t-1} + z_t, with `a` (B, T, H) in float64.

    All chunks start from 0 side by side; their last states are chained, which is this scan again;
    then each chunk gets what is kept of the state before it.
    """
    T = z.shape[1]
    chunk = min(CHUNK, T)
    h: Tensor = F.pad(z, (0, 0, 0, 0, 0, -T % chunk)).unflatten(1, (-1, chunk))
    a = F.pad(a, (0, 0, 0, -T % chunk)).unflatten(1, (-1, chunk))
    _follow(a, h)
    kept = a.cumprod(dim=2)
    before = state[:, None]
    if chunk < T:
        ends = _scan(kept[:, :-1, -1].contiguous(), h[:, :-1, -1].contiguous(), state)
        before = torch.cat([before, ends], dim=1)
    h.addcmul_(kept.to(h.dtype)[..., None], before[:, :, None])
    return h.flatten(1, 2)[:, :T].contiguous()


def _follow(a: Float[Tensor, "B C c H"], h: Float[Tensor, "B C c H I"]) -> None:
    """Step through all chunks at once, in place: h_t += a_t h_{t-1} from the second step on."""
    # `a` as a sum of two numbers: rounded to one, a slow decay of a thousand steps would be off in
    # its fifth digit.
    rounded = a.to(h.dtype)
    rest = (a - rounded).to(h.dtype)[..., None]
    rounded = rounded[..., None]
    for t in range(1, h.shape[2]):
        before = h[:, :, t - 1]
        h[:, :, t].addcmul_(rounded[:, :, t], before).addcmul_(rest[:, :, t], before)


@_scan.register_fake
def _(a: Tensor, z: Tensor, state: Tensor) -> Tensor:
    return z.new_empty(z.shape)


def _keep_for_backward(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor], output: Tensor) -> None:
    ctx.save_for_backward(inputs[0], inputs[2], output)


def _scan_backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The same scan from the end: what h_t did to the loss, by itself and by all that followed."""
    a, state, h = ctx.saved_tensors
    kept_next = F.pad(a[:, 1:], (0, 0, 0, 1)).flip(1)
    felt = _scan(kept_next, grad.flip(1), torch.zeros_like(state)).flip(1)
    first = (state * felt[:, 0]).sum(dim=-1, keepdim=True).transpose(1, 2)
    others = (h[:, :-1] * felt[:, 1:]).sum(dim=-1)
    grad_state = a[:, 0, :, None].to(h.dtype) * felt[:, 0]
    return torch.cat([first, others], dim=1).to(a.dtype), felt, grad_state


_scan.register_autograd(_scan_backward, setup_context=_keep_for_backward)


class Recurrence(nn.Module):
    """h_t = a_t h_{t-1} + z_t in H heads, of which the variants differ in a, z and what is read.

    Args:
        dim: features in and out, and numbers of the state.
        heads: heads, each with its own decay.
    """

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
        h = decay_scan(ln_a, z, start, is_first)
        return self.read(h, x), h.flatten(-2)

    def step(
        self, x: Float[Tensor, "B N"], state: Float[Tensor, "B N"]
    ) -> tuple[Float[Tensor, "B N"], Float[Tensor, "B N"]]:
        """One step of the same recurrence."""
        ln_a, z = self.decay_and_input(x)
        before = state.double().unflatten(-1, (self.heads, self.inner))
        h = torch.addcmul(z.double(), ln_a.double().exp()[..., None], before).float()
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
