from __future__ import annotations

import numpy as np
import torch

from pamiq_lightning.learners.base import Learner
from pamiq_lightning.learners.roles import Decoder, Dynamics
from pamiq_lightning.trainer.previews import newest_preview, preview_sheet
from pamiq_lightning.utils.instantiate import build
from tests.synthetic import DECODER, DYNAMICS, rollout


def models() -> tuple[Decoder, Dynamics]:
    decoder, dynamics = build(Learner, DECODER), build(Learner, DYNAMICS)
    assert isinstance(decoder, Decoder) and isinstance(dynamics, Dynamics)
    return decoder, dynamics


def test_the_sheet_shows_observed_frames_in_its_first_row() -> None:
    steps = rollout(8)
    steps["frame"][:] = torch.arange(8, dtype=torch.uint8)[:, None, None, None] * 30
    picture = preview_sheet(steps, *models())
    assert picture is not None
    pixels = np.asarray(picture)
    # Four columns of 16 pixels below a caption: frames 1, 3, 5, 7 of eight.
    observed = [int(pixels[20, 8 + 16 * column, 0]) for column in range(4)]
    assert observed == [30, 90, 150, 210]


def test_previews_are_none_without_a_valid_transition() -> None:
    steps = rollout(8)
    steps["valid"][:] = False
    assert preview_sheet(steps, *models()) is None
    assert newest_preview(steps, *models()) is None


def test_the_newest_preview_is_of_the_last_valid_transition() -> None:
    steps = rollout(8)
    steps["frame"][:] = torch.arange(8, dtype=torch.uint8)[:, None, None, None] * 30
    steps["valid"][7] = False
    decoder, dynamics = models()
    dynamics.train()
    picture = newest_preview(steps, decoder, dynamics)
    assert picture is not None and picture.size == (48, 16)
    # The last row of a valid transition is the seventh.
    assert set(np.asarray(picture)[:, :16].flatten()) == {180}
    assert isinstance(dynamics, Learner) and dynamics.training
