"""The nets against numbers that `python -m tools.parity_numbers` computes from the formulas."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from pamiq_lightning.nets.forward_dynamics import normal_nll
from pamiq_lightning.nets.sioconv import Recurrence, SioConv, SioConvPS

SIOCONV = [
    [
        [0.495769892, 1.112490523, 0.441165528, -0.148600249],
        [-0.186391250, 0.012798484, -1.015075076, 0.474895454],
        [0.800500641, 0.091993586, 0.601080552, -0.125040791],
    ],
    [
        [0.241587667, 0.682602223, 0.578784114, 0.661986014],
        [0.347090000, 0.181243566, 0.627290218, 0.187274907],
        [-0.141462264, 0.093250288, -0.059517424, 0.698272860],
    ],
]
SIOCONV_PS = [
    [
        [0.265754620, -0.100372398, 0.223502270, -2.058511713],
        [-0.125292482, 0.043187903, -1.498675310, 0.249163756],
        [0.383338687, -0.025576770, 0.236753379, -2.284860878],
    ],
    [
        [0.474161806, 0.454318048, 0.970822886, 0.112813592],
        [0.483512522, 0.684200241, 0.361488199, 0.432127176],
        [0.663774768, 0.629508043, 0.672917979, 0.168673766],
    ],
]
NORMAL_NLL = [1.872857827, 1.362322533, 0.749840011, 1.611478121]

PHASES = {"w_z": 1.0, "w_za": 2.0, "w_y": 3.0, "w_ya": 4.0, "w_dt": 5.0, "norm": 7.0}


def wave(phase: float, *shape: int) -> Tensor:
    """Return the sine waves with which the tool fills weights and inputs."""
    return (phase + 0.7 * torch.arange(math.prod(shape)).double()).sin().view(shape).float()


def filled(core: Recurrence) -> Recurrence:
    """Fill every weight with its wave."""
    with torch.no_grad():
        for name, layer in core.named_children():
            assert isinstance(layer, nn.Linear | nn.GroupNorm)
            layer.weight.copy_(wave(PHASES[name], *layer.weight.shape))
            layer.bias.copy_(wave(PHASES[name] + 0.5, *layer.bias.shape))
        if isinstance(core, SioConv):
            core.ln_a.copy_(wave(6.0, *core.ln_a.shape))
    return core


@pytest.mark.parametrize(
    "core, stored", [(SioConv, SIOCONV), (SioConvPS, SIOCONV_PS)], ids=["sioconv", "sioconv_ps"]
)
def test_against_the_formulas_of_the_recurrence(
    core: type[Recurrence], stored: list[list[list[float]]]
) -> None:
    net, x, state = filled(core(4, 2)), wave(0.1, 1, 3, 4), wave(0.2, 1, 4)
    expected_y, expected_states = torch.tensor(stored)[:, None]
    y, states = net(x, state)
    torch.testing.assert_close(y, expected_y, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(states, expected_states, rtol=1e-5, atol=1e-5)
    for t in range(3):
        y_t, state = net.step(x[:, t], state)
        torch.testing.assert_close(y_t, expected_y[:, t], rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(state, expected_states[:, t], rtol=1e-5, atol=1e-5)


def test_against_the_density_of_the_normal() -> None:
    nll = normal_nll(wave(0.1, 4), wave(1.0, 4), 2 * wave(2.0, 4))
    torch.testing.assert_close(nll, torch.tensor(NORMAL_NLL), rtol=1e-6, atol=1e-6)
