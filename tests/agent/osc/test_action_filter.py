from __future__ import annotations

from math import exp

import numpy as np
import pytest

from agent.actions import inputs
from agent.osc.action_filter import ActionFilter

ALL = np.ones(5, np.int64)


def test_default_filter_sends_the_values_of_the_actions() -> None:
    assert ActionFilter().inputs(ALL, 0.0) == inputs(ALL)


def test_disabled_actions_stay_neutral() -> None:
    wanted = ActionFilter(disabled_actions=("jump", "run")).inputs(ALL, 0.0)
    assert (wanted["/input/Jump"], wanted["/input/Run"]) == (0, 0)
    assert type(wanted["/input/Jump"]) is int
    assert wanted["/input/Vertical"] == 1.0


def test_turn_speed_keeps_the_direction() -> None:
    action_filter = ActionFilter(turn_speed=0.7)
    assert action_filter.inputs(np.array([0, 0, 1, 0, 0]), 0.0)["/input/LookHorizontal"] == 0.7
    assert action_filter.inputs(np.array([0, 0, 2, 0, 0]), 0.1)["/input/LookHorizontal"] == -0.7


def test_smoothed_axes_follow_with_the_time_constant_and_arrive() -> None:
    action_filter = ActionFilter(smoothing_s=0.2)
    forward = [
        action_filter.inputs(ALL, 10 + tick / 10)["/input/Vertical"] for tick in range(1, 30)
    ]
    assert forward[0] == pytest.approx(1 - exp(-0.1 / 0.2))
    assert forward[1] == pytest.approx(1 - exp(-0.2 / 0.2))
    assert forward[-1] == 1.0


def test_buttons_are_not_smoothed_and_release_is_immediate() -> None:
    action_filter = ActionFilter(smoothing_s=1.0)
    assert action_filter.inputs(ALL, 0.1)["/input/Jump"] == 1
    for tick in range(100):
        action_filter.inputs(ALL, tick / 10)
    action_filter.release_inputs()
    assert action_filter.inputs(ALL, 100.0)["/input/Vertical"] == pytest.approx(1 - exp(-0.1))


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"disabled_actions": ("wings",)}, "'wings'.*jump"),
        ({"turn_speed": 0.5}, "above 0.5"),
        ({"turn_speed": 1.5}, "at most 1"),
        ({"smoothing_s": -1.0}, "negative"),
    ],
)
def test_error_names_a_wrong_setting(settings: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        ActionFilter(**settings)  # type: ignore[arg-type]
