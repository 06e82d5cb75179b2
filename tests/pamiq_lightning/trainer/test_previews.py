from __future__ import annotations

import numpy as np
import torch

from pamiq_lightning.nets.forward_dynamics import ForwardDynamics
from pamiq_lightning.nets.latent_decoder import LatentDecoder
from pamiq_lightning.trainer.previews import newest_triple, triples
from tests.synthetic import SHAPE, rollout


def nets() -> tuple[LatentDecoder, ForwardDynamics]:
    return LatentDecoder((4, 8), 16, 8), ForwardDynamics((4, 8), SHAPE.action_choices, 2, 16, 4)


def test_the_first_row_is_what_was_seen() -> None:
    steps = rollout(8)
    steps["frame"][:] = torch.arange(8, dtype=torch.uint8)[:, None, None, None] * 30
    picture = triples(steps, *nets())
    assert picture is not None
    pixels = np.asarray(picture)
    # Four columns of 16 pixels below a caption: frames 1, 3, 5, 7 of eight.
    seen = [int(pixels[20, 8 + 16 * column, 0]) for column in range(4)]
    assert seen == [30, 90, 150, 210]


def test_nothing_to_draw_without_a_transition() -> None:
    steps = rollout(8)
    steps["valid"][:] = False
    assert triples(steps, *nets()) is None
    assert newest_triple(steps, *nets()) is None


def test_the_newest_is_seen_kept_and_expected_side_by_side() -> None:
    steps = rollout(8)
    steps["frame"][:] = torch.arange(8, dtype=torch.uint8)[:, None, None, None] * 30
    steps["valid"][7] = False
    decoder, dynamics = nets()
    dynamics.train()
    picture = newest_triple(steps, decoder, dynamics)
    assert picture is not None and picture.size == (48, 16)
    # The last row of a sound transition is the seventh.
    assert set(np.asarray(picture)[:, :16].flatten()) == {180}
    assert dynamics.training
