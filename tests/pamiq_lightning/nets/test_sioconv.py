from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from pamiq_lightning.nets.sioconv import SioConv, SioConvPS, SioConvStack, decay_scan


def loop_scan(ln_a: Tensor, z: Tensor, state: Tensor, is_first: Tensor | None = None) -> Tensor:
    """Return the recurrence, step by step in float64."""
    ln_a, z, h = ln_a.double(), z.double(), state.double()
    out = []
    for t in range(z.shape[1]):
        if is_first is not None:
            h = torch.where(is_first[:, t, None, None], torch.zeros_like(h), h)
        h = ln_a[:, t, :, None].exp() * h + z[:, t]
        out.append(h)
    return torch.stack(out, dim=1)


def inputs(T: int, decay: float, B: int = 2, K: int = 3, I: int = 4) -> tuple[Tensor, ...]:  # noqa: E741
    ln_a = -decay * torch.rand(B, T, K)
    return ln_a, torch.randn(B, T, K, I), torch.randn(B, K, I)


@pytest.mark.parametrize("decay", [1e-4, 0.1, 5.0, 80.0])
@pytest.mark.parametrize("T", [1, 63, 64, 65, 200])
def test_scan_equals_a_float64_loop(T: int, decay: float) -> None:
    ln_a, z, state = inputs(T, decay)
    expected = loop_scan(ln_a, z, state)
    error = (decay_scan(ln_a, z, state).double() - expected).abs().max()
    assert error / expected.abs().max() <= 1e-5


@pytest.mark.parametrize("decay", [1e-4, 0.1, 80.0])
@pytest.mark.parametrize("T", [1, 31, 32, 33, 64, 1100])
def test_scan_gradients_equal_those_of_the_loop(T: int, decay: float) -> None:
    arguments = [argument.requires_grad_() for argument in inputs(T, decay)]
    is_first = torch.rand(2, T) < 0.02
    weights = torch.randn(2, T, 3, 4)
    ours = torch.autograd.grad((decay_scan(*arguments, is_first) * weights).sum(), arguments)
    theirs = torch.autograd.grad((loop_scan(*arguments, is_first) * weights).sum(), arguments)
    for here, expected in zip(ours, theirs, strict=True):
        assert (here - expected).abs().max() <= 1e-5 * expected.abs().max()


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 150), st.data())
def test_scan_of_any_split_carries_the_state(T: int, data: st.DataObject) -> None:
    torch.manual_seed(T)
    split = data.draw(st.integers(1, T - 1))
    ln_a, z, state = inputs(T, 0.5)
    whole = decay_scan(ln_a, z, state)
    first = decay_scan(ln_a[:, :split], z[:, :split], state)
    second = decay_scan(ln_a[:, split:], z[:, split:], first[:, -1])
    torch.testing.assert_close(torch.cat([first, second], 1), whole, rtol=1e-5, atol=1e-5)


def test_a_reset_equals_two_separate_scans() -> None:
    ln_a, z, state = inputs(100, 0.1)
    is_first = torch.zeros(2, 100, dtype=torch.bool)
    is_first[:, 70] = True
    h = decay_scan(ln_a, z, state, is_first)
    torch.testing.assert_close(h[:, :70], decay_scan(ln_a[:, :70], z[:, :70], state))
    blank = torch.zeros_like(state)
    torch.testing.assert_close(h[:, 70:], decay_scan(ln_a[:, 70:], z[:, 70:], blank))
    expected = loop_scan(ln_a, z, state, is_first).float()
    torch.testing.assert_close(h, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("core", ["sioconv", "sioconv_ps"])
@pytest.mark.parametrize("dim, heads", [(32, 4), (64, 8)])
def test_the_parallel_form_equals_the_step_form(dim: int, heads: int, core: str) -> None:
    stack = SioConvStack(depth=3, dim=dim, heads=heads, core=core).eval()
    with torch.no_grad():
        for p in stack.parameters():
            p.add_(0.1 * torch.randn_like(p))
    x, state = torch.randn(2, 90, dim), torch.randn(2, 3, dim)
    y, states = stack(x, state)
    for t in range(90):
        y_t, state = stack.step(x[:, t], state)
        assert (y_t - y[:, t]).abs().max() <= 1e-5 * y.abs().max()
        assert (state - states[:, t]).abs().max() <= 1e-5 * states.abs().max()


def test_the_scan_is_float32_under_autocast() -> None:
    layer, x, state = SioConv(16, 4), torch.randn(1, 128, 16), torch.randn(1, 16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        _, states = layer(x, state)
        ln_a, z = layer.decay_and_input(x)
    exact = loop_scan(ln_a, z, state.view(1, 4, 4)).flatten(-2)
    assert states.dtype == torch.float32
    assert (states - exact).abs().max() <= 1e-5 * exact.abs().max()


@pytest.mark.parametrize("core", ["sioconv", "sioconv_ps"])
def test_outputs_do_not_depend_on_the_future(core: str) -> None:
    stack = SioConvStack(depth=2, dim=16, heads=4, core=core).eval()
    x = torch.randn(1, 80, 16, requires_grad=True)
    y, _ = stack(x, torch.zeros(1, 2, 16))
    y[:, 30].sum().backward()
    assert x.grad is not None
    assert x.grad[:, 31:].abs().max() == 0
    assert x.grad[:, :31].abs().max() > 0


def test_scan_of_a_million_steps_is_finite() -> None:
    layer = SioConv(8, 2)
    with torch.no_grad():
        ln_a, z = layer.decay_and_input(torch.randn(1, 1_000_000, 8))
        h = decay_scan(ln_a, z, torch.zeros(1, 2, 4))
    assert torch.isfinite(h).all()


def test_initial_decays_are_in_the_published_range() -> None:
    layer = SioConv(64, 8)
    assert ((layer.ln_a >= 0) & (layer.ln_a <= math.log(16))).all()
    dt = torch.nn.functional.softplus(layer.w_dt.bias)
    assert ((dt > 0.00099) & (dt < 0.101)).all()


def test_group_norm_is_one_mean_and_variance_per_head() -> None:
    layer = SioConv(12, 3)
    with torch.no_grad():
        layer.norm.weight.copy_(torch.tensor([1.0, 2.0, 3.0]))
        layer.norm.bias.copy_(torch.tensor([0.0, 0.5, -0.5]))
    h = torch.randn(5, 3, 4)
    mean, var = h.mean(-1, keepdim=True), h.var(-1, keepdim=True, unbiased=False)
    expected = (h - mean) / (var + 1e-5).sqrt() * layer.norm.weight[:, None]
    expected = expected + layer.norm.bias[:, None]
    torch.testing.assert_close(layer.norm(h), expected)


def test_sioconv_ps_equals_its_formula() -> None:
    layer = SioConvPS(6, heads=3)
    with torch.no_grad():
        for p in layer.parameters():
            p.copy_(torch.randn_like(p))
    x, h = torch.randn(2, 40, 6), torch.randn(2, 6)
    y, states = layer(x, h)
    for t in range(40):
        g, z = layer.w_dt(x[:, t]).sigmoid(), layer.w_z(x[:, t]).sigmoid()
        h = (1 - g) * h + g * z
        expected = layer.w_y(h) * torch.nn.functional.silu(layer.w_ya(x[:, t]))
        torch.testing.assert_close(states[:, t], h, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(y[:, t], expected, rtol=1e-4, atol=1e-4)


def test_heads_must_divide_dim() -> None:
    with pytest.raises(ValueError, match="does not divide"):
        SioConv(10, 3)
