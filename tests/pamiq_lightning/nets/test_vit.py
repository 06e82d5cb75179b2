from __future__ import annotations

import pytest
import torch

from pamiq_lightning.nets.vit import (
    LatentEncoder,
    MaskedPredictor,
    VisionTransformer,
    sincos_positions,
    standardise,
)


def vit(depth: int = 2) -> VisionTransformer:
    return VisionTransformer(24, 4, width=16, depth=depth, heads=2, out_dim=8)


def test_standardised_frames_have_mean_0_and_std_1() -> None:
    x = standardise(torch.randint(0, 256, (3, 3, 24, 24), dtype=torch.uint8))
    torch.testing.assert_close(x.mean(dim=(1, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(
        x.std(dim=(1, 2, 3), unbiased=False), torch.ones(3), atol=1e-4, rtol=0
    )
    black = standardise(torch.zeros(1, 3, 24, 24, dtype=torch.uint8))
    assert torch.isfinite(black).all()


def test_positions_are_distinct_and_split_by_axis() -> None:
    positions = sincos_positions(6, 16)
    assert len(positions.unique(dim=0)) == 36
    grid = positions.view(6, 6, 16)
    # The first half depends on the row alone, the second on the column alone.
    assert (grid[:, :, :8] == grid[:, :1, :8]).all()
    assert (grid[:, :, 8:] == grid[:1, :, 8:]).all()


def test_dropped_patches_do_not_affect_the_output() -> None:
    net = vit()
    frames = torch.randn(2, 3, 24, 24)
    keep = torch.tensor([[0, 1, 7], [2, 3, 35]])
    output = net(frames, keep)
    assert output.shape == (2, 3, 8)
    changed = frames.clone()
    # Patch 14 is at rows 8-11, columns 8-11, and in neither list.
    changed[:, :, 8:12, 8:12] = 99.0
    torch.testing.assert_close(net(changed, keep), output)
    assert not torch.allclose(net(changed), net(frames))


def test_blocks_process_only_the_kept_patches() -> None:
    net = vit()
    lengths: list[int] = []
    net.blocks[0].register_forward_hook(lambda _, args, __: lengths.append(args[0].shape[1]))
    net(torch.randn(1, 3, 24, 24), torch.arange(10)[None])
    assert lengths == [10]


def test_latents_are_pooled_and_normed() -> None:
    net = vit()
    frames = torch.randint(0, 256, (2, 3, 24, 24), dtype=torch.uint8)
    latents = LatentEncoder(net, pool=3)(frames)
    assert latents.shape == (2, 4, 8)
    torch.testing.assert_close(latents.mean(-1), torch.zeros(2, 4), atol=1e-5, rtol=0)
    tokens = net(standardise(frames)).view(2, 6, 6, 8)
    pooled = tokens[:, 3:, :3].mean(dim=(1, 2))
    expected = torch.nn.functional.layer_norm(pooled, (8,))
    torch.testing.assert_close(latents[:, 2], expected, atol=1e-4, rtol=1e-4)


def test_target_blocks_are_predicted_independently() -> None:
    net = MaskedPredictor(6, 8, width=8, depth=2, heads=1)
    context, keep = torch.randn(2, 5, 8), torch.arange(5).expand(2, -1)
    targets = torch.tensor([[[10, 11], [20, 21]], [[30, 31], [12, 13]]])
    both = net(context, keep, targets)
    assert both.shape == (2, 2, 2, 8)
    torch.testing.assert_close(both[:, 1:], net(context, keep, targets[:, 1:]))


def test_impossible_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="patch_size"):
        VisionTransformer(25, 4, 16, 1, 2, 8)
    with pytest.raises(ValueError, match="heads"):
        VisionTransformer(24, 4, 16, 1, 3, 8)
    with pytest.raises(ValueError, match="pool"):
        LatentEncoder(vit(), pool=4)
