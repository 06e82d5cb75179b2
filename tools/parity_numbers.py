"""Print the numbers of the parity tests of nets: their formulas in NumPy, float64, without torch.

    python -m tools.parity_numbers        for tests/pamiq_lightning/nets/test_parity.py

Weights and inputs are waves, with which a test can fill a net too.
Letters: T time, H heads, I inner, N state size.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pamiq_lightning.utils.console import safe_print
from tools.cli import make_parser

Array = NDArray[np.float64]
T, H, I = 3, 2, 2  # noqa: E741
N = H * I


def wave(phase: float, *shape: int) -> Array:
    """Return sin(phase + 0.7 k) for the k-th element, row by row."""
    return np.asarray(np.sin(phase + 0.7 * np.arange(math.prod(shape))).reshape(shape))


def linear(phase: float, x: Array, out: int = N) -> Array:
    """Return W x + b, W a wave from `phase` on and b one from `phase` + 0.5 on."""
    return x @ wave(phase, out, x.shape[-1]).T + wave(phase + 0.5, out)


def sigmoid(x: Array) -> Array:
    """Return 1 / (1 + e^-x)."""
    return np.asarray(1 / (1 + np.exp(-x)))


def silu(x: Array) -> Array:
    """Return x sigmoid(x)."""
    return x * sigmoid(x)


def sioconv() -> tuple[Array, Array]:
    """Return the outputs and the states of SioConv, step by step as its formulas are written."""
    h = wave(0.2, H, I)
    outputs, states = [], []
    for x in wave(0.1, T, N):
        dt = np.log1p(np.exp(linear(5.0, x, out=H)))
        a = np.exp(-np.exp(wave(6.0, H)) * dt)
        h = a[:, None] * h + (linear(1.0, x) * silu(linear(2.0, x))).reshape(H, I)
        normed = (h - h.mean(1, keepdims=True)) / np.sqrt(h.var(1, keepdims=True) + 1e-5)
        normed = normed * wave(7.0, H)[:, None] + wave(7.5, H)[:, None]
        outputs.append(linear(3.0, normed.ravel()) * silu(linear(4.0, x)))
        states.append(h.ravel())
    return np.array(outputs), np.array(states)


def sioconv_ps() -> tuple[Array, Array]:
    """Return the outputs and the states of SioConvPS."""
    h = wave(0.2, N)
    outputs, states = [], []
    for x in wave(0.1, T, N):
        g = sigmoid(linear(5.0, x))
        h = (1 - g) * h + g * sigmoid(linear(1.0, x))
        outputs.append(linear(3.0, h) * silu(linear(4.0, x)))
        states.append(h)
    return np.array(outputs), np.array(states)


def normal_nll() -> Array:
    """Return -ln of the normal density at x, mean and variance waves."""
    x, mean, variance = wave(0.1, N), wave(1.0, N), np.exp(2 * wave(2.0, N))
    density = np.exp(-((x - mean) ** 2) / (2 * variance)) / np.sqrt(2 * np.pi * variance)
    return np.asarray(-np.log(density))


def main() -> None:
    """Print all, as they stand in the test."""
    make_parser(__doc__).parse_args()
    for name, numbers in (
        ("SIOCONV", sioconv()),
        ("SIOCONV_PS", sioconv_ps()),
        ("NORMAL_NLL", normal_nll()),
    ):
        safe_print(f"{name} = {np.round(numbers, 9).tolist()}")


if __name__ == "__main__":
    main()
