from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pamiq_lightning.learners.masks import MaskSampler


def drawn(grid: int, batches: int, batch: int = 16) -> tuple[torch.Tensor, torch.Tensor]:
    """Return how often each patch was context, and target."""
    sampler = MaskSampler(grid)
    context, target = torch.zeros(grid**2), torch.zeros(grid**2)
    for _ in range(batches):
        masks = sampler(batch)
        context += torch.bincount(masks.context.flatten(), minlength=grid**2)
        target += torch.bincount(masks.targets.flatten(), minlength=grid**2)
    return context, target


@pytest.mark.parametrize("grid", [8, 12])
def test_masks_reach_every_patch_as_context_and_as_target(grid: int) -> None:
    context, target = drawn(grid, 200)
    assert (context > 0).all()
    assert (target > 0).all()


def test_masks_cover_all_rows_equally() -> None:
    context, _ = drawn(12, 200)
    rows = context.view(12, 12).sum(1)
    # The upper half mirrors the lower in distribution; a row-major cut would favour the upper.
    assert 0.85 < rows[:6].sum() / rows[6:].sum() < 1.18


@settings(max_examples=60, deadline=None)
@given(st.integers(6, 16), st.integers(1, 24), st.integers(0, 2**31))
def test_context_and_targets_are_disjoint(grid: int, batch: int, seed: int) -> None:
    torch.manual_seed(seed)
    masks = MaskSampler(grid)(batch)
    assert masks.context.shape[0] == masks.targets.shape[0] == batch
    assert masks.context.shape[1] >= 1
    for context, targets in zip(masks.context, masks.targets, strict=True):
        assert len(context.unique()) == len(context)
        assert not set(context.tolist()) & set(targets.flatten().tolist())
        assert targets.min() >= 0 and targets.max() < grid**2


def test_target_blocks_are_rectangles_of_one_size() -> None:
    masks = MaskSampler(12)(8)
    shapes = set()
    for block in masks.targets.flatten(0, 1):
        rows, columns = block // 12, block % 12
        height, width = int(rows.max() - rows.min()) + 1, int(columns.max() - columns.min()) + 1
        assert height * width == len(block)
        shapes.add((height, width))
    assert len(shapes) == 1


def test_masks_match_the_published_counts() -> None:
    """The reference's sampler at 12x12, batch 16: context 41 (18-56), targets 24 (20-30).

    Ours leaves more context, for its context block may use the last row and column too.
    """
    sampler = MaskSampler(12)
    masks = [sampler(16) for _ in range(300)]
    targets = torch.tensor([float(m.targets.shape[2]) for m in masks])
    context = torch.tensor([float(m.context.shape[1]) for m in masks])
    assert 22.5 < targets.mean() < 26.5
    assert targets.min() >= 20 and targets.max() <= 30
    assert 41 < context.mean() < 41 * (144 / 121) * 1.1


@pytest.mark.parametrize("batch, fewest, most", [(16, 39.5, 43), (32, 37, 41)])
def test_masks_with_reference_quirks_match_the_published_counts(
    batch: int, fewest: float, most: float
) -> None:
    """Context 41 on average (batch 16) and 39.1 (batch 32), targets 24.4, 121 of 144 patches."""
    sampler = MaskSampler(12, reference_quirks=True)
    masks = [sampler(batch) for _ in range(400)]
    targets = torch.tensor([float(m.targets.shape[2]) for m in masks])
    context = torch.tensor([float(m.context.shape[1]) for m in masks])
    assert fewest < context.mean() < most
    assert 23.7 < targets.mean() < 25.1
    assert len(targets.unique()) <= 6
    seen = torch.cat([torch.cat([m.context.flatten(), m.targets.flatten()]) for m in masks])
    assert sorted(seen.unique().tolist()) == [12 * r + c for r in range(11) for c in range(11)]
    rows = torch.bincount(torch.cat([m.context.flatten() for m in masks]) // 12, minlength=12)
    assert rows[:5].sum() > 1.18 * rows[6:11].sum()


def test_mask_blocks_have_many_sizes() -> None:
    sampler = MaskSampler(12)
    sizes = {sampler(1).targets.shape[2] for _ in range(200)}
    assert len(sizes) >= 4


def test_context_is_never_empty() -> None:
    """Targets that nearly always hide a small grid."""
    sampler = MaskSampler(4, targets=12)
    for _ in range(50):
        masks = sampler(8)
        assert masks.context.shape[1] >= 1
        assert masks.targets.shape[:2] == (8, 12)


@pytest.mark.parametrize("settings", [{"grid": 2}, {"grid": 12, "target_scale": (0.2, 0.9)}])
def test_mask_sampler_refuses_settings_without_context(settings: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="leave no context"):
        MaskSampler(**settings)  # type: ignore[arg-type]
