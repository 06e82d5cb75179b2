from __future__ import annotations

import numpy as np

from pamiq_lightning.step import is_transition
from tests.synthetic import SHAPE, arrays


def test_all_neighbouring_valid_steps_are_transitions() -> None:
    assert is_transition(arrays(5)).tolist() == [True] * 4


def test_first_rows_invalid_rows_and_gaps_are_no_transitions() -> None:
    steps = arrays(8)
    steps["is_first"][2] = True
    steps["valid"][4] = False
    steps["index"][7] += 3
    # 1->2 enters a first row; 3->4 and 4->5 touch the invalid row; 6->7 jumps.
    assert is_transition(steps).tolist() == [True, False, True, False, False, True, False]


def test_fields_have_the_shapes_of_the_step_shape() -> None:
    fields = SHAPE.fields()
    assert fields["frame"].shape == (3, 24, 24)
    assert fields["latent"].shape == (4, 8)
    assert fields["state"].shape == (2, 16)
    assert np.dtype(fields["frame"].dtype) == np.uint8
