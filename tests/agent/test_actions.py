from __future__ import annotations

import numpy as np
import pytest

from agent.actions import ACTIONS, CHOICES, NEUTRAL, inputs


def test_choice_zero_is_neutral() -> None:
    assert inputs(np.zeros(len(ACTIONS), np.int64)) == NEUTRAL
    assert all(value == 0 for value in NEUTRAL.values())


def test_action_space_is_that_of_the_original() -> None:
    assert CHOICES == (3, 3, 3, 2, 2)


def test_choice_one_is_forward_right_turn_right_jump_run() -> None:
    assert inputs(np.ones(5, np.int64)) == {
        "/input/Vertical": 1.0,
        "/input/Horizontal": 1.0,
        "/input/LookHorizontal": 1.0,
        "/input/Jump": 1,
        "/input/Run": 1,
    }


def test_axes_are_floats_and_buttons_ints() -> None:
    types = {axis.name: {type(value) for value in axis.values} for axis in ACTIONS}
    assert types == {
        "vertical": {float},
        "horizontal": {float},
        "look": {float},
        "jump": {int},
        "run": {int},
    }


def test_only_jump_is_a_tap() -> None:
    assert [axis.name for axis in ACTIONS if axis.tap] == ["jump"]


@pytest.mark.parametrize(
    "action", [[0, 0, 0, 0], [3, 0, 0, 0, 0], [0, 0, 0, 2, 0], [0, -1, 0, 0, 0]]
)
def test_invalid_action_is_refused(action: list[int]) -> None:
    with pytest.raises(ValueError, match=r"categories|choices"):
        inputs(np.array(action, np.int64))
