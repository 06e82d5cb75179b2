from __future__ import annotations

import pytest

from agent.capture.base import CaptureError, Rectangle
from agent.capture.choice import Candidate, choose

SMALL, LARGE = Rectangle(0, 0, 640, 360), Rectangle(50, 60, 1280, 720)


def window(process: int | None, area: Rectangle = SMALL, visible: bool = True) -> Candidate:
    return Candidate(process, area, visible, process)


def test_only_window_is_taken_without_a_note() -> None:
    for takers in (dict, lambda: {1: "VRChat.exe"}):
        assert choose("VRChat", [window(1)], takers) == (window(1), "")
    assert choose("VRChat", [window(None)], lambda: {2: "VRChat.exe"}) == (window(None), "")
    assert choose("VRChat", [window(1, visible=False)], dict) is None


def test_window_of_the_process_that_takes_the_inputs_is_taken_and_all_are_named() -> None:
    found = choose("VRChat", [window(1, LARGE), window(2)], lambda: {2: "VRChat.exe"})
    assert found is not None and found[0].handle == 2
    for part in ("2 windows", "1280 x 720 at 50, 60 of process 1", "process 2, which takes"):
        assert part in found[1]


def test_of_several_windows_without_a_known_taker_the_largest_is_taken_and_all_are_named() -> None:
    found = choose("VRChat", [window(1), window(2, LARGE)], dict)
    assert found is not None and found[0].handle == 2
    assert "2 windows" in found[1] and "of process 1" in found[1] and "the largest" in found[1]


def test_preferred_window_comes_before_a_larger_one() -> None:
    unity = Candidate(3, SMALL, True, 3, preferred=True)
    found = choose("VRChat", [window(1, LARGE), unity], dict)
    assert found is not None and found[0] is unity


def test_window_of_another_client_than_the_inputs_is_refused() -> None:
    with pytest.raises(CaptureError, match=r"VRChat.exe \(process 2\).*hidden.*of process 1"):
        choose("VRChat", [window(1), window(2, visible=False)], lambda: {2: "VRChat.exe"})


def test_inputs_that_go_to_a_program_without_a_window_are_said() -> None:
    found = choose("VRChat", [window(1)], lambda: {9: "router"})
    assert found is not None and found[0].handle == 1
    assert "the inputs go to router (process 9), which has no such window" in found[1]


def test_wine_s_server_holds_sockets_for_its_clients() -> None:
    assert choose("VRChat", [window(1)], lambda: {9: "wineserver64"}) == (window(1), "")
