from __future__ import annotations

import pytest
import torch

from pamiq_lightning.nets.running_norm import CLIP, RunningNorm


def test_inputs_pass_unchanged_before_the_first_update() -> None:
    inputs = 7 + torch.randn(5, 3)
    torch.testing.assert_close(RunningNorm((3,))(inputs), inputs)


def test_numbers_of_one_update_have_mean_0_and_variance_1() -> None:
    torch.manual_seed(0)
    norm, inputs = RunningNorm((2, 3)), 5 + torch.tensor([1.0, 2.0, 3.0]) * torch.randn(400, 2, 3)
    norm.update(inputs)
    normed = norm(inputs)
    torch.testing.assert_close(normed.mean(dim=0), torch.zeros(2, 3), atol=0.05, rtol=0)
    torch.testing.assert_close(normed.var(dim=0), torch.ones(2, 3), atol=0.1, rtol=0)


def test_newer_inputs_count_more() -> None:
    norm = RunningNorm((1,), decay=0.5)
    for mean in (0.0, 0.0, 8.0):
        norm.update(mean + torch.tensor([[-1.0], [1.0]]))
    # Weights 1/8, 1/4 and 1/2, over their sum.
    assert (norm.mean / norm.weight).item() == pytest.approx(4 / 0.875)


def test_a_number_that_never_varied_neither_explodes_nor_divides_by_zero() -> None:
    norm = RunningNorm((2,))
    norm.update(torch.stack([torch.randn(100), torch.full((100,), 3.0)], dim=-1))
    normed = norm(torch.tensor([[0.0, 3.0], [0.0, 1e6]]))
    assert normed[0, 1].abs() < 1e-3 and normed[1, 1] == CLIP
    constant = RunningNorm((1,))
    constant.update(torch.full((10, 1), 2.0))
    assert constant(torch.tensor([[2.0]])).isfinite().all()


def test_no_inputs_change_nothing() -> None:
    norm = RunningNorm((3,))
    norm.update(torch.empty(0, 3))
    assert norm.weight == 0
