"""SioConv: a linear recurrence with a scalar decay per head, in parallel and in step form.

With K heads of inner size I = dim / K, for each head and the input x_t of the layer:
    a_t = exp(-exp(ln_a) * softplus(W_dt x_t + b_dt))          one scalar for each head, in (0, 1)
    z_t = (W_z x_t) * SiLU(W_za x_t)
    h_t = a_t h_{t-1} + z_t
    y_t = W_y(GroupNorm(h_t)) * SiLU(W_ya x_t)
Source: Myxy's SioConv as used by ML Shukai's P-AMI<Q> (2024).
Letters: B batch, T time, K heads, I inner, N state size (dim), L layers (depth), C chunks of c
steps.
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
"""Steps of a chunk: they are computed one after another, all chunks in parallel."""


def decay_scan(
    ln_a: Float[Tensor, "B T K"],
    z: Float[Tensor, "B T K I"],
    state: Float[Tensor, "B K I"],
    is_first: Bool[Tensor, "B T"] | None = None,
) -> Float[Tensor, "B T K I"]:
    """Return all h_t = exp(ln_a_t) h_{t-1} + z_t, with the state set to 0 before each `is_first`.

    Time and memory grow linearly with T.
    """
    a = ln_a.double().exp()
    if is_first is not None:
        a = a.masked_fill(is_first[..., None], 0.0)
    h: Tensor = _scan(a, z, state)
    return h


# A custom operator: autograd keeps only what its backward pass needs, and torch.compile sees one
# operator instead of many small steps.
@torch.library.custom_op(
    "pamiq_lightning::decay_scan",
    mutates_args=(),
    schema="(Tensor a, Tensor z, Tensor state) -> Tensor",
)
def _scan(a: Tensor, z: Tensor, state: Tensor) -> Tensor:
    """Return all h_t = a_t h_{t-1} + z_t, with `a` (B, T, K) in float64.

    All chunks start from 0 in parallel. Their last states are chained by the same scan, and the
    decayed state before each chunk is added to it.
    """
    T = z.shape[1]
    chunk = min(CHUNK, T)
    h: Tensor = F.pad(z, (0, 0, 0, 0, 0, -T % chunk)).unflatten(1, (-1, chunk))
    a = F.pad(a, (0, 0, 0, -T % chunk)).unflatten(1, (-1, chunk))
    _step_chunks(a, h)
    decay = a.cumprod(dim=2)
    before = state[:, None]
    if chunk < T:
        ends = _scan(decay[:, :-1, -1].contiguous(), h[:, :-1, -1].contiguous(), state)
        before = torch.cat([before, ends], dim=1)
    h.addcmul_(decay.to(h.dtype)[..., None], before[:, :, None])
    return h.flatten(1, 2)[:, :T].contiguous()


def _step_chunks(a: Float[Tensor, "B C c K"], h: Float[Tensor, "B C c K I"]) -> None:
    """Step through all chunks in parallel, in place: h_t += a_t h_{t-1} from the second step on."""
    # `a` as a sum of two numbers: one rounded number gives a slow decay over a thousand steps an
    # error in the fifth digit.
    rounded = a.to(h.dtype)
    rest = (a - rounded).to(h.dtype)[..., None]
    rounded = rounded[..., None]
    for t in range(1, h.shape[2]):
        before = h[:, :, t - 1]
        h[:, :, t].addcmul_(rounded[:, :, t], before).addcmul_(rest[:, :, t], before)


@_scan.register_fake
def _(a: Tensor, z: Tensor, state: Tensor) -> Tensor:
    return z.new_empty(z.shape)


def _save_for_backward(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor], output: Tensor) -> None:
    ctx.save_for_backward(inputs[0], inputs[2], output)


def _scan_backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Run the same scan backwards: the gradient of h_t is its own plus that of all later steps."""
    a, state, h = ctx.saved_tensors
    next_a = F.pad(a[:, 1:], (0, 0, 0, 1)).flip(1)
    grad_h = _scan(next_a, grad.flip(1), torch.zeros_like(state)).flip(1)
    first = (state * grad_h[:, 0]).sum(dim=-1, keepdim=True).transpose(1, 2)
    others = (h[:, :-1] * grad_h[:, 1:]).sum(dim=-1)
    grad_state = a[:, 0, :, None].to(h.dtype) * grad_h[:, 0]
    return torch.cat([first, others], dim=1).to(a.dtype), grad_h, grad_state


_scan.register_autograd(_scan_backward, setup_context=_save_for_backward)


class Recurrence(nn.Module):
    """h_t = a_t h_{t-1} + z_t in K heads; the variants define a, z and the output.

    Args:
        dim: features in and out, and size of the state (N).
        heads: heads, each with its own decay (K).
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        if heads < 1 or dim % heads:
            raise ValueError(f"heads {heads} does not divide dim {dim}")
        self.heads, self.inner = heads, dim // heads

    @abstractmethod
    def decay_and_input(self, x: Float[Tensor, "*batch N"]) -> tuple[Tensor, Tensor]:
        """Return ln a (..., K) and z (..., K, I), in float32 even under autocast."""

    @abstractmethod
    def read(self, h: Float[Tensor, "*batch K I"], x: Float[Tensor, "*batch N"]) -> Tensor:
        """Return y (..., N) from the states h and the inputs x."""

    def forward(
        self,
        x: Float[Tensor, "B T N"],
        state: Float[Tensor, "B N"],
        is_first: Bool[Tensor, "B T"] | None = None,
    ) -> tuple[Float[Tensor, "B T N"], Float[Tensor, "B T N"]]:
        """Return the outputs and the state after each step."""
        ln_a, z = self.decay_and_input(x)
        start = state.float().unflatten(-1, (self.heads, self.inner))
        h = decay_scan(ln_a, z, start, is_first)
        return self.read(h, x), h.flatten(-2)

    def step(
        self, x: Float[Tensor, "B N"], state: Float[Tensor, "B N"]
    ) -> tuple[Float[Tensor, "B N"], Float[Tensor, "B N"]]:
        """Return the output and the new state of one step."""
        ln_a, z = self.decay_and_input(x)
        before = state.double().unflatten(-1, (self.heads, self.inner))
        h = torch.addcmul(z.double(), ln_a.double().exp()[..., None], before).float()
        return self.read(h, x), h.flatten(-2)


def _init_small(*layers: nn.Linear) -> None:
    for linear in layers:
        nn.init.xavier_normal_(linear.weight, gain=1e-2)
        nn.init.zeros_(linear.bias)


class SioConv(Recurrence):
    """The recurrence in the docstring of this file."""

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

    def read(self, h: Float[Tensor, "*batch K I"], x: Float[Tensor, "*batch N"]) -> Tensor:
        """Return y = W_y(GroupNorm(h)) * SiLU(W_ya x)."""
        normed = self.norm(h.reshape(-1, self.heads, self.inner)).view(*h.shape[:-2], -1)
        y: Tensor = self.w_y(normed) * F.silu(self.w_ya(x))
        return y


class SioConvPS(Recurrence):
    """The later variant, elementwise: h_t = (1 - g_t) h_{t-1} + g_t z_t.

    g_t = sigmoid(W_dt x_t), z_t = sigmoid(W_z x_t), y_t = W_y h_t * SiLU(W_ya x_t). Each element
    is a head, so `heads` has no effect.
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

    def read(self, h: Float[Tensor, "*batch K I"], x: Float[Tensor, "*batch N"]) -> Tensor:
        """Return y = W_y h * SiLU(W_ya x)."""
        y: Tensor = self.w_y(h.flatten(-2)) * F.silu(self.w_ya(x))
        return y


CORES: dict[str, type[SioConv | SioConvPS]] = {"sioconv": SioConv, "sioconv_ps": SioConvPS}


class SwiGLU(nn.Module):
    """W_out(W x * SiLU(W_act x)), hidden size 2 * dim (Shazeer 2020, arXiv:2002.05202)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.w, self.w_act = nn.Linear(dim, 2 * dim), nn.Linear(dim, 2 * dim)
        self.w_out = nn.Linear(2 * dim, dim)

    def forward(self, x: Float[Tensor, "*batch N"]) -> Float[Tensor, "*batch N"]:
        """Apply the layer to the last dimension."""
        out: Tensor = self.w_out(self.w(x) * F.silu(self.w_act(x)))
        return out


class SioConvBlock(nn.Module):
    """x += Drop(core(RMSNorm x)); x += Drop(SwiGLU(RMSNorm x))."""

    def __init__(self, dim: int, heads: int, dropout: float, core: str) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.RMSNorm(dim, eps=1e-6), nn.RMSNorm(dim, eps=1e-6)
        self.core, self.mlp = CORES[core](dim, heads), SwiGLU(dim)
        self.drop = nn.Dropout(dropout)

    def _residual(self, x: Tensor, y: Tensor) -> Tensor:
        x = x + self.drop(y)
        out: Tensor = x + self.drop(self.mlp(self.norm2(x)))
        return out

    def forward(self, x: Tensor, state: Tensor, is_first: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return outputs (B, T, N) and the state after each step (B, T, N)."""
        y, states = self.core(self.norm1(x), state, is_first)
        return self._residual(x, y), states

    def step(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Return the output (B, N) and the new state (B, N)."""
        y, state = self.core.step(self.norm1(x), state)
        return self._residual(x, y), state


class SioConvStack(nn.Module):
    """`depth` blocks, each with a state of its own: (B, L, N) together.

    Args:
        depth: blocks (L).
        dim: features (N).
        heads: heads of each block.
        dropout: probability in training.
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
        """Run a sequence; return the outputs and the states after each step."""
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
