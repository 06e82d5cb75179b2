from __future__ import annotations

import pytest

from agent.worlds.embedded.inputs import Controls


def test_axes_keep_their_last_value() -> None:
    controls = Controls()
    controls.set("/input/Vertical", 0.5)
    assert [controls.wish().forward for _ in range(3)] == [0.5, 0.5, 0.5]
    controls.set("/input/Vertical", 0)
    assert controls.wish().forward == 0.0


@pytest.mark.parametrize(("sent", "kept"), [(7, 1.0), (-3.5, -1.0), (True, 1.0), (False, 0.0)])
def test_axes_are_clamped_and_take_any_osc_number(sent: object, kept: float) -> None:
    controls = Controls()
    controls.set("/input/Horizontal", sent)
    assert controls.wish().right == kept


@pytest.mark.parametrize(
    ("sent", "turn"), [(0.5, 0.0), (-0.5, 0.0), (0.51, 0.51), (-1.0, -1.0), (0.2, 0.0)]
)
def test_looking_is_dead_up_to_half(sent: float, turn: float) -> None:
    controls = Controls()
    controls.set("/input/LookHorizontal", sent)
    assert controls.wish().turn == turn


def test_jump_needs_a_zero_before_the_next_press() -> None:
    controls = Controls()
    controls.set("/input/Jump", 1)
    assert controls.wish().jump
    controls.set("/input/Jump", 1)
    assert not controls.wish().jump
    controls.set("/input/Jump", 0)
    assert not controls.wish().jump
    controls.set("/input/Jump", True)
    assert controls.wish().jump


def test_a_tap_between_two_steps_is_not_lost() -> None:
    controls = Controls()
    controls.set("/input/Jump", 1)
    controls.set("/input/Jump", 0)
    assert controls.wish().jump
    assert not controls.wish().jump


def test_run_is_held() -> None:
    controls = Controls()
    controls.set("/input/Run", 1)
    assert controls.wish().run and controls.wish().run
    controls.set("/input/Run", 0)
    assert not controls.wish().run


def test_buttons_push_like_axes() -> None:
    controls = Controls()
    controls.set("/input/MoveBackward", 1)
    controls.set("/input/MoveRight", 1)
    controls.set("/input/LookLeft", 1)
    wish = controls.wish()
    assert (wish.forward, wish.right, wish.turn) == (-1.0, 1.0, -1.0)


@pytest.mark.parametrize("value", [float("nan"), "1", None, 10**400, b"1"])
def test_what_is_no_number_is_refused(value: object) -> None:
    controls = Controls()
    with pytest.raises(ValueError, match="takes a number"):
        controls.set("/input/Vertical", value)
    assert controls.wish().forward == 0.0


def test_unknown_addresses_are_refused() -> None:
    with pytest.raises(ValueError, match="unknown input /chatbox"):
        Controls().set("/chatbox", 1)


def test_rest_is_neutral() -> None:
    controls = Controls()
    for address in ("/input/Vertical", "/input/Run", "/input/Jump", "/input/LookHorizontal"):
        controls.set(address, 1)
    controls.release_inputs()
    wish = controls.wish()
    assert (wish.forward, wish.right, wish.turn, wish.run, wish.jump) == (0, 0, 0, False, False)
