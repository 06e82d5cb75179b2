from __future__ import annotations

import pytest

from agent.worlds.embedded.inputs import InputController


def test_axes_keep_their_last_value() -> None:
    inputs = InputController()
    inputs.set("/input/Vertical", 0.5)
    assert [inputs.next_command().forward for _ in range(3)] == [0.5, 0.5, 0.5]
    inputs.set("/input/Vertical", 0)
    assert inputs.next_command().forward == 0.0


@pytest.mark.parametrize(("sent", "kept"), [(7, 1.0), (-3.5, -1.0), (True, 1.0), (False, 0.0)])
def test_axes_are_clamped_and_accept_any_osc_number(sent: object, kept: float) -> None:
    inputs = InputController()
    inputs.set("/input/Horizontal", sent)
    assert inputs.next_command().right == kept


@pytest.mark.parametrize(
    ("sent", "turn"), [(0.5, 0.0), (-0.5, 0.0), (0.51, 0.51), (-1.0, -1.0), (0.2, 0.0)]
)
def test_look_axis_has_a_dead_zone_up_to_half(sent: float, turn: float) -> None:
    inputs = InputController()
    inputs.set("/input/LookHorizontal", sent)
    assert inputs.next_command().turn == turn


def test_jump_needs_a_release_before_the_next_press() -> None:
    inputs = InputController()
    inputs.set("/input/Jump", 1)
    assert inputs.next_command().jump
    inputs.set("/input/Jump", 1)
    assert not inputs.next_command().jump
    inputs.set("/input/Jump", 0)
    assert not inputs.next_command().jump
    inputs.set("/input/Jump", True)
    assert inputs.next_command().jump


def test_a_tap_between_two_steps_is_not_lost() -> None:
    inputs = InputController()
    inputs.set("/input/Jump", 1)
    inputs.set("/input/Jump", 0)
    assert inputs.next_command().jump
    assert not inputs.next_command().jump


def test_run_holds_until_its_release() -> None:
    inputs = InputController()
    inputs.set("/input/Run", 1)
    assert inputs.next_command().run and inputs.next_command().run
    inputs.set("/input/Run", 0)
    assert not inputs.next_command().run


def test_buttons_add_to_axes() -> None:
    inputs = InputController()
    inputs.set("/input/MoveBackward", 1)
    inputs.set("/input/MoveRight", 1)
    inputs.set("/input/LookLeft", 1)
    command = inputs.next_command()
    assert (command.forward, command.right, command.turn) == (-1.0, 1.0, -1.0)


@pytest.mark.parametrize("value", [float("nan"), "1", None, 10**400, b"1"])
def test_values_that_are_not_numbers_are_refused(value: object) -> None:
    inputs = InputController()
    with pytest.raises(ValueError, match="takes a number"):
        inputs.set("/input/Vertical", value)
    assert inputs.next_command().forward == 0.0


def test_unknown_addresses_are_refused() -> None:
    with pytest.raises(ValueError, match="unknown input /chatbox"):
        InputController().set("/chatbox", 1)


def test_released_inputs_are_neutral() -> None:
    inputs = InputController()
    for address in ("/input/Vertical", "/input/Run", "/input/Jump", "/input/LookHorizontal"):
        inputs.set(address, 1)
    inputs.release_inputs()
    command = inputs.next_command()
    assert (command.forward, command.right, command.turn, command.run, command.jump) == (
        0,
        0,
        0,
        False,
        False,
    )
