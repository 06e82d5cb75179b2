from __future__ import annotations

import math

import pytest
import torch

from pamiq_lightning.offline.probe import PixelComponents, position_targets, ridge_r2


def test_ridge_recovers_a_linear_map_and_no_noise() -> None:
    generator = torch.Generator().manual_seed(1)
    features = torch.randn(400, 6, generator=generator)
    linear = features.double() @ torch.randn(6, 2, generator=generator).double() + 3
    noise = torch.randn(400, 1, generator=generator).double()
    targets, fold = torch.cat([linear, noise], dim=1), torch.arange(300) // 20
    scores = ridge_r2(features[:300], targets[:300], fold, features[300:], targets[300:])
    assert (scores[:2] > 0.999).all()
    assert scores[2] < 0.1
    # Neither scale nor place of the features counts.
    moved = 100 * features + 7
    again = ridge_r2(moved[:300], targets[:300], fold, moved[300:], targets[300:])
    torch.testing.assert_close(again, scores, rtol=1e-3, atol=1e-3)


def test_ridge_refuses_too_few_groups() -> None:
    rows = torch.randn(20, 2)
    with pytest.raises(ValueError, match="needs 5 groups"):
        ridge_r2(rows, rows, torch.zeros(20, dtype=torch.long), rows, rows)


def test_position_targets_are_position_and_heading() -> None:
    info = torch.tensor([[9.0, 1.0, math.pi / 2, 2.0]])
    targets = position_targets(info, ("z", "x", "heading", "y"))
    torch.testing.assert_close(targets, torch.tensor([[1.0, 2.0, 1.0, 0.0]]).double())
    with pytest.raises(ValueError, match=r"lacks \['heading'\]"):
        position_targets(info, ("z", "x", "other", "y"))
    with pytest.raises(ValueError, match="not known"):
        position_targets(info * math.nan, ("z", "x", "heading", "y"))


def test_pixel_components_span_the_directions_of_most_variance() -> None:
    frames = torch.randn(50, 8) * torch.tensor([10.0, 5.0, *[0.01] * 6])
    components = PixelComponents(frames, 2)(frames)
    explained = components.square().sum() / (frames - frames.mean(dim=0)).square().sum()
    assert explained > 0.999
    with pytest.raises(ValueError, match="more frames"):
        PixelComponents(frames[:2], 2)
