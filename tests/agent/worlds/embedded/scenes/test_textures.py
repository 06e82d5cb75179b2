from __future__ import annotations

import random

import numpy as np
import pytest

from agent.worlds.embedded.render.mipmaps import build_atlas, level_sizes
from agent.worlds.embedded.scenes.street import Street
from agent.worlds.embedded.scenes.textures import food, street_textures
from agent.worlds.embedded.scenes.textures.canvas import SIZE
from agent.worlds.embedded.scenes.textures.strokes import GLYPHS

TEXTURES = street_textures()


def test_every_texture_is_square_partly_opaque_and_not_uniform() -> None:
    for name, picture in TEXTURES.items():
        assert picture.shape == (SIZE, SIZE, 4) and picture.dtype == np.uint8, name
        shown = picture[picture[..., 3] > 127][:, :3]
        assert len(shown) > SIZE, name
        assert picture.std(axis=(0, 1)).max() > 1.0, name


def test_no_two_textures_are_equal() -> None:
    assert len({picture.tobytes() for picture in TEXTURES.values()}) == len(TEXTURES)


def test_street_uses_only_existing_textures() -> None:
    built = Street().build(0)
    assert built.sky is not None
    used = set(built.mesh.texture_names) | set(built.sky.texture_names)
    assert used <= set(TEXTURES)


def test_strokes_stay_in_the_unit_square() -> None:
    points = [p for strokes in GLYPHS.values() for stroke in strokes for p in stroke]
    assert min(map(min, points)) >= 0.0 and max(map(max, points)) <= 1.0


def test_food_has_at_least_twelve_kinds() -> None:
    assert len(food.KINDS) >= 12


@pytest.mark.parametrize("kind", sorted(food.KINDS))
def test_each_kind_of_food_varies_with_the_seed(kind: str) -> None:
    drawn = [food.texture(random.Random(seed), kind) for seed in range(4)]
    assert len({picture.tobytes() for picture in drawn}) == 4
    assert all((picture[..., 3] == 255).all() for picture in drawn)
    assert drawn[0].tobytes() == food.texture(random.Random(0), kind).tobytes()


def test_mip_levels_halve_and_keep_the_mean() -> None:
    assert level_sizes(16) == [16, 8, 4, 2]
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (16, 16, 4), np.uint8)
    image[..., 3] = 255
    atlas = build_atlas([image])
    mean = image[..., :3].mean()
    for offset, size in zip(atlas.offsets, atlas.sizes, strict=True):
        texels = atlas.texels[0, offset : offset + size * size]
        level = texels.view(np.uint8).reshape(-1, 4)
        assert level[:, :3].mean() == pytest.approx(mean, abs=2.0)


def test_transparent_colours_do_not_bleed_into_mip_levels() -> None:
    image = np.zeros((4, 4, 4), np.uint8)
    image[::2, ::2] = (200, 100, 50, 255)
    image[1::2] = (255, 255, 255, 0)
    atlas = build_atlas([image])
    smallest = atlas.texels[0, atlas.offsets[-1] :].view(np.uint8).reshape(-1, 4)
    assert (smallest[:, :3] == (200, 100, 50)).all()


def test_atlas_refuses_mixed_sizes() -> None:
    with pytest.raises(ValueError, match="texture 1"):
        build_atlas([np.zeros((4, 4, 4), np.uint8), np.zeros((8, 8, 4), np.uint8)])
    with pytest.raises(ValueError, match="power of two"):
        build_atlas([np.zeros((6, 6, 4), np.uint8)])
