from __future__ import annotations

from typing import get_args

import pytest

from agent.actions import ACTIONS
from agent.capture.base import CaptureError
from agent.osc.ports import PortTakenError, bind_udp
from agent.worlds.vrchat import settings as vrchat_settings
from agent.worlds.vrchat.settings import (
    Category,
    VRChatSettings,
    check_vrchat,
    enter_vrchat,
    open_capture,
)
from agent.worlds.vrchat.world import VRChat
from tests.agent.osc.receiver import Receiver
from tests.agent.worlds.vrchat.test_world import FORWARD, ScriptedSource


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> ScriptedSource:
    source = ScriptedSource()
    monkeypatch.setattr("agent.capture.screen.Screen", lambda size, title, find_takers: source)
    return source


def test_categories_are_the_action_axes() -> None:
    assert get_args(Category) == tuple(axis.name for axis in ACTIONS)


def test_world_is_built_from_settings(source: ScriptedSource) -> None:
    receiver = Receiver()
    settings = VRChatSettings(listen="off", disabled_actions=["vertical"])
    world = enter_vrchat(settings, 8, 10.0, port=receiver.port)
    assert isinstance(world, VRChat)
    assert world.info_names == ()
    world.observe()
    world.act(FORWARD)
    assert ("/input/Vertical", 1.0) not in receiver.pending()
    world.close()
    receiver.close()


def test_error_names_a_wrong_setting_before_anything_is_opened() -> None:
    with pytest.raises(ValueError, match="turn_speed"):
        enter_vrchat(VRChatSettings(turn_speed=0.2), 8, 10.0)


@pytest.mark.parametrize("name", ["telescope", "camera", "video:", "camera:", "screen:1"])
def test_error_names_an_unknown_frame_source(name: str) -> None:
    with pytest.raises(ValueError, match=f"capture={name}: must be screen"):
        open_capture(name, 8, "VRChat")


@pytest.mark.parametrize("name", ["agent.nowhere.Source:1", "agent.capture.screen.Nothing"])
def test_error_names_a_class_path_without_a_frame_source(name: str) -> None:
    with pytest.raises(ValueError, match=f"capture={name}: there is no such frame source"):
        check_vrchat(VRChatSettings(listen="off", capture=name))


def test_error_names_a_missing_video() -> None:
    with pytest.raises(CaptureError, match=r"no video /nowhere\.avi"):
        open_capture("video:/nowhere.avi", 8, "VRChat")


def test_check_fails_before_anything_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    def attach(title: str, takers: object) -> ScriptedSource:
        if title != "VRChat":
            raise CaptureError(f"no {title}")
        return ScriptedSource()

    monkeypatch.setattr(vrchat_settings, "attach_window", attach)
    taken = bind_udp("127.0.0.1", 0)
    with pytest.raises(PortTakenError, match="is taken by"):
        check_vrchat(VRChatSettings(listen=taken.getsockname()[1]))
    taken.close()
    with pytest.raises(CaptureError, match="no Elsewhere"):
        check_vrchat(VRChatSettings(listen="off", title="Elsewhere"))
    check_vrchat(VRChatSettings(listen="off", capture="camera:0"))
    check_vrchat(VRChatSettings(listen="oscquery"))
