from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.osc.input_state import PRESS_S, RELEASE_S, REPEAT_S, InputState

NEUTRAL = {"/x": 0.0, "/jump": 0, "/run": 0}


@pytest.fixture
def input_state() -> InputState:
    input_state = InputState(NEUTRAL, ["/jump"])
    input_state.release_inputs(0.0)
    input_state.act(NEUTRAL, 1.0)
    return input_state


def test_only_changes_are_sent(input_state: InputState) -> None:
    assert input_state.act({"/x": 1.0, "/jump": 0, "/run": 0}, 1.1) == [("/x", 1.0)]
    assert input_state.act({"/x": 1.0, "/jump": 0, "/run": 1}, 1.2) == [("/run", 1)]
    assert input_state.act({"/x": 1.0, "/jump": 0, "/run": 1}, 1.3) == []


def test_all_values_are_repeated_twice_a_second(input_state: InputState) -> None:
    walking = {"/x": 1.0, "/jump": 0, "/run": 0}
    times = [
        tick / 10
        for tick in range(10, 60)
        if len(input_state.act(walking, tick / 10)) == len(NEUTRAL)
    ]
    assert times == [1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 5.5]


def test_same_action_is_sent_again_after_a_release(input_state: InputState) -> None:
    walking = {"/x": 1.0, "/jump": 0, "/run": 1}
    input_state.act(walking, 1.1)
    assert input_state.release_inputs(1.15) == list(NEUTRAL.items())
    assert input_state.act(walking, 1.2) == [("/x", 1.0), ("/jump", 0), ("/run", 1)]


def test_all_values_are_sent_again_after_a_gap(input_state: InputState) -> None:
    walking = {"/x": 1.0, "/jump": 0, "/run": 0}
    input_state.act(walking, 1.5)
    assert input_state.act(walking, 1.6) == []
    assert input_state.act(walking, 2.01) == list(walking.items())


def test_button_press_ends_without_another_action(input_state: InputState) -> None:
    assert input_state.act({"/x": 0.0, "/jump": 1, "/run": 0}, 1.1) == [("/jump", 1)]
    assert input_state.due() == pytest.approx(1.1 + PRESS_S)
    assert input_state.update(1.1 + PRESS_S / 2) == []
    assert input_state.update(input_state.due()) == [("/jump", 0)]
    assert input_state.due() == float("inf")


def test_two_jumps_in_a_row_are_two_presses(input_state: InputState) -> None:
    jumping = {"/x": 0.0, "/jump": 1, "/run": 0}
    edges = [
        *input_state.act(jumping, 1.1),
        *input_state.update(1.16),
        *input_state.act(jumping, 1.2),
    ]
    assert edges == [("/jump", 1), ("/jump", 0), ("/jump", 1)]


def test_other_buttons_stay_held(input_state: InputState) -> None:
    running = {"/x": 0.0, "/jump": 0, "/run": 1}
    assert input_state.act(running, 1.1) == [("/run", 1)]
    assert input_state.act(running, 1.2) == []


def test_release_drops_a_waiting_press(input_state: InputState) -> None:
    jumping = {"/x": 0.0, "/jump": 1, "/run": 0}
    input_state.act(jumping, 1.1)
    input_state.act(jumping, 1.11)
    assert ("/jump", 0) in input_state.release_inputs(1.12)
    assert input_state.due() == float("inf")
    assert input_state.update(1.3) == list(NEUTRAL.items())


def test_press_after_a_release_waits_for_the_release_time(input_state: InputState) -> None:
    jumping = {"/x": 0.0, "/jump": 1, "/run": 0}
    input_state.act(jumping, 1.1)
    input_state.release_inputs(1.12)
    assert ("/jump", 0) in input_state.act(jumping, 1.13)
    assert input_state.update(input_state.due()) == [("/jump", 1)]


@given(
    actions=st.lists(
        st.tuples(st.integers(1, 200), st.booleans()).map(lambda pair: (pair[0] / 1000, pair[1])),
        max_size=60,
    )
)
def test_every_edge_of_a_press_lasts_long_enough(actions: list[tuple[float, bool]]) -> None:
    input_state = InputState(NEUTRAL, ["/jump"])
    now, state, edges = 0.0, 0, []

    def hear(messages: list[tuple[str, float]], at: float) -> None:
        nonlocal state
        for address, value in messages:
            if address == "/jump" and value != state:
                state = int(value)
                edges.append((at, state))

    for gap, jump in actions:
        while input_state.due() < now + gap:
            hear(input_state.update(due := input_state.due()), due)
        now += gap
        hear(input_state.act({"/x": 0.0, "/jump": int(jump), "/run": 0}, now), now)
    for (begin, value), (end, _) in pairwise(edges):
        assert end - begin >= (PRESS_S if value else RELEASE_S) - 1e-9


@given(st.lists(st.booleans(), min_size=1, max_size=50))
def test_every_jump_at_10_hz_is_one_press(jumps: list[bool]) -> None:
    input_state = InputState(NEUTRAL, ["/jump"])
    presses, before = 0, 0
    for tick, jump in enumerate([*jumps, False]):
        now = 1 + tick / 10
        messages = input_state.act({"/x": 0.0, "/jump": int(jump), "/run": 0}, now)
        messages += input_state.update(now + PRESS_S)
        for value in (value for address, value in messages if address == "/jump"):
            presses += int(value) > before
            before = int(value)
    assert presses == sum(jumps)


def test_lost_message_is_repeated_within_a_second(input_state: InputState) -> None:
    walking = {"/x": 1.0, "/jump": 0, "/run": 0}
    input_state.act(walking, 1.1)  # Lost on the way.
    again = [t / 10 for t in range(12, 30) if ("/x", 1.0) in input_state.act(walking, t / 10)]
    assert again[0] <= 1.1 + 2 * REPEAT_S
