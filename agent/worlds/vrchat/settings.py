"""The settings of VRChat as a world, and its construction."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

from agent.capture.base import FrameSource
from agent.capture.screen import Screen
from agent.capture.window import attach_window
from agent.osc.action_filter import ActionFilter
from agent.osc.parameters import LISTEN_HOST
from agent.osc.ports import bind_udp
from agent.worlds.vrchat.world import COUNTDOWN_S, VRChat

CAPTURE_MISTAKE = "capture={}: must be screen, camera:NUMBER or video:FILE"
Category = Literal["vertical", "horizontal", "look", "jump", "run"]


@dataclass
class VRChatSettings:
    """Settings of VRChat as a world.

    Args:
        title: exact title of VRChat's window.
        capture: the frame source: screen; camera:NUMBER, such as OBS's virtual camera; or
            video:FILE, a recording (camera and video need the extra `camera`).
        listen: UDP port of the avatar parameters; oscquery lets VRChat find a free one (extra
            `oscquery`); off.
        disabled_actions: action categories that are never used.
        turn_speed: value sent to LookHorizontal, above 0.5 (VRChat ignores less) and up to 1.
        smoothing_s: time constant of a first-order filter on the axes (s); 0 is none.
        countdown_s: wait before the first input (s).
    """

    title: str = "VRChat"
    capture: str = "screen"
    listen: int | Literal["oscquery", "off"] = 9001
    disabled_actions: list[Category] = field(default_factory=list)
    turn_speed: float = 1.0
    smoothing_s: float = 0.0
    countdown_s: float = COUNTDOWN_S


def enter_vrchat(
    settings: VRChatSettings, size: int, rate_hz: float, host: str = "127.0.0.1", port: int = 9000
) -> VRChat:
    """Enter VRChat with frames of size x size, at `rate_hz` ticks a second.

    Raises:
        ValueError: an invalid setting; the message names it.
        CaptureError: no frame can be captured.
        OscQueryError: listening by OSCQuery is not possible here.
        OSError: `host` is unknown, or another program holds the port to listen on.
    """
    action_filter = ActionFilter(
        settings.disabled_actions, settings.turn_speed, settings.smoothing_s
    )
    listen = None if settings.listen == "off" else settings.listen
    source = open_capture(settings.capture, size, settings.title)
    return VRChat(size, host, port, settings.title, source, listen, action_filter, rate_hz)


def open_capture(source: str, size: int, title: str) -> FrameSource:
    """Open the frame source that the settings name.

    Raises:
        ValueError: no such frame source.
        CaptureError: it delivers no frame.
    """
    kind, _, target = source.partition(":")
    if source == "screen":
        return Screen(size, title)
    if kind == "camera" and target:
        from agent.capture.camera import Camera

        return Camera(size, int(target) if target.isdigit() else target)
    if kind == "video" and target:
        from agent.capture.video import Video

        return Video(size, target)
    raise ValueError(CAPTURE_MISTAKE.format(source))


def check_vrchat(settings: VRChatSettings) -> None:
    """Fail before anything slow starts if VRChat cannot be entered.

    Raises:
        ValueError: an invalid setting; the message names it.
        CaptureError: VRChat's window cannot be found.
        OSError: another program holds the port to listen on.
    """
    ActionFilter(settings.disabled_actions, settings.turn_speed, settings.smoothing_s)
    if settings.capture != "screen" and not re.fullmatch("(camera|video):.+", settings.capture):
        raise ValueError(CAPTURE_MISTAKE.format(settings.capture))
    if isinstance(settings.listen, int):
        bind_udp(LISTEN_HOST, settings.listen).close()
    if settings.capture == "screen":
        attach_window(settings.title).close()
